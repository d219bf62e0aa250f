Prometheus figures, liveness, and readiness with its reasons.
