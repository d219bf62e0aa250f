from hoopx.storage.declared import DeclaredBackend

backend = DeclaredBackend("s3", "hoopx.storage.s3.make")
