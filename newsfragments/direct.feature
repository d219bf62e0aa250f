Listeners with ``tls = true`` speak TLS from the first byte; on raw ones a client certificate says who connects.
