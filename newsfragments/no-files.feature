``hoopx verify`` follows no symbolic link to a segment, a marker, a session's directory or a file of the ledger, and waits for no named pipe in their place: it names what is there.
