A session whose recording fails ends with an error in the client's own protocol wherever the client has whole messages, never within one, and the error is not lost to a reset connection.
