``hoopx check`` says when the data folder can not be written, why, and what to do; what the default of ``max_sessions`` needs is a hint.
