Sealed recordings are compressed and, with ``encrypt_to``, encrypted to the auditors' age keys: ``hoopx sessions show --identity KEYFILE`` reads them, and so does the stock ``age`` tool.
