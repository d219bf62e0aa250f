from hoopx.secrets.declared import DeclaredSource

source = DeclaredSource("env", "hoopx.secrets.declared.startEnvironment")
