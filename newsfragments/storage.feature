Finished recordings are kept where the organisation wants them: stores are plugins, ``file:`` (in place or in another folder) and ``s3:`` with Object Lock, checksums and conditional writes.
