Several gateways in one store are told apart by ``hoopx verify`` (``--gateway`` looks at one alone), and two that have one name by mistake store nothing among each other's recordings.
