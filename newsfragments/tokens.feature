People, agents and services get access tokens of which only a hash is stored; grants say what they may use, and a revoked token ends its live sessions within two seconds.
