from hoopx.secrets.declared import DeclaredSource

source = DeclaredSource("file", "hoopx.secrets.declared.startFile")
