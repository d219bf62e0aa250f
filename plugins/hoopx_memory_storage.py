from hoopx.storage.declared import DeclaredBackend

backend = DeclaredBackend("memory", "hoopx.storage.memory.make")
