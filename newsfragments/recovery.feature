A killed gateway loses nothing that was forwarded: its recordings are recovered at the next start and say so; when nothing can be recorded, sessions end and none begins.
