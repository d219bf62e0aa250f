# -*- test-case-name: tests.protocols.postgres.test_encodings -*-
"""
PostgreSQL's names of character sets (chapter 24.3 of its manual) as Python's codecs.
"""

from __future__ import annotations

_CODECS = {
    "UTF8": "utf-8",
    "UNICODE": "utf-8",
    "SQLASCII": "ascii",
    "LATIN1": "iso8859-1",
    "LATIN2": "iso8859-2",
    "LATIN3": "iso8859-3",
    "LATIN4": "iso8859-4",
    "LATIN5": "iso8859-9",
    "LATIN6": "iso8859-10",
    "LATIN7": "iso8859-13",
    "LATIN8": "iso8859-14",
    "LATIN9": "iso8859-15",
    "LATIN10": "iso8859-16",
    "ISO88591": "iso8859-1",
    "ISO88595": "iso8859-5",
    "ISO88596": "iso8859-6",
    "ISO88597": "iso8859-7",
    "ISO88598": "iso8859-8",
    "WIN": "cp1251",
    "WIN866": "cp866",
    "WIN874": "cp874",
    "WIN1250": "cp1250",
    "WIN1251": "cp1251",
    "WIN1252": "cp1252",
    "WIN1253": "cp1253",
    "WIN1254": "cp1254",
    "WIN1255": "cp1255",
    "WIN1256": "cp1256",
    "WIN1257": "cp1257",
    "WIN1258": "cp1258",
    "ALT": "cp866",
    "KOI8": "koi8-r",
    "KOI8R": "koi8-r",
    "KOI8U": "koi8-u",
    "EUCJP": "euc_jp",
    "EUCJIS2004": "euc_jis_2004",
    "EUCKR": "euc_kr",
    "EUCCN": "gb2312",
    "SJIS": "cp932",
    "SHIFTJIS": "cp932",
    "SHIFTJIS2004": "shift_jis_2004",
    "MSKANJI": "cp932",
    "WIN932": "cp932",
    "BIG5": "cp950",
    "WIN950": "cp950",
    "GBK": "cp936",
    "WIN936": "cp936",
    "GB18030": "gb18030",
    "UHC": "cp949",
    "WIN949": "cp949",
    "JOHAB": "johab",
}


def codecOf(name: str) -> str:
    """
    @param name: a value of C{client_encoding}, in any of PostgreSQL's spellings.
    @return: the name of Python's codec; C{"ascii"} for an unknown one, so that nothing is guessed.
    """
    return _CODECS.get("".join(letter for letter in name.upper() if letter.isalnum()), "ascii")


def decoded(data: bytes, codec: str) -> str:
    """Text of any bytes: what the codec can not decode stays visible as C{\\xNN}."""
    return data.decode(codec, "backslashreplace")
