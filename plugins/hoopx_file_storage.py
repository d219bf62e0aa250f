from hoopx.storage.declared import DeclaredBackend

backend = DeclaredBackend("file", "hoopx.storage.folder.make")
