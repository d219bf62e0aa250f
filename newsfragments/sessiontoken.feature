Temporary S3 credentials (``session_token``) are taken, and rotated ones are found without a restart, a reload or an alarm.
