"""Requests of ledgers to witnesses."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hoopx.witness.exchange import MAX_REQUEST, Request, decode, encode

# The example of the specification.
EXAMPLE = (
    "old 20852014\n"
    "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n"
    "jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n"
    "5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n"
    "/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n"
    "\n"
    "example.com/behind-the-sofa\n"
    "20852163\n"
    "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    "\n"
    "\N{EM DASH} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
).encode()


class RequestTests(SynchronousTestCase):
    def test_example(self):
        found = decode(EXAMPLE)
        self.assertEqual((found.old, len(found.proof), found.checkpoint[:12]), (20852014, 4, b"example.com/"))
        self.assertEqual(encode(found), EXAMPLE)

    def test_first(self):
        self.assertEqual(encode(Request(0, (), b"x\n")), b"old 0\n\nx\n")
        self.assertEqual(decode(b"old 0\n\nx\n"), Request(0, (), b"x\n"))

    def test_wrong(self):
        hash = EXAMPLE.split(b"\n")[1]
        for wrong in (
            b"",
            EXAMPLE[1:],
            b"old 00\n\nx\n",
            b"old -1\n\nx\n",
            b"old 1 \n\nx\n",
            b"old 1\r\n\r\nx\n",
            b"old " + b"9" * 20 + b"\n\nx\n",
            b"old 1\n" + hash[:-4] + b"\n\nx\n",
            b"old 1\n" + hash + b" \n\nx\n",
            b"old 1\n****\n\nx\n",
            b"old 1\n" + (hash + b"\n") * 64 + b"\nx\n",
            b"old 1\n" + hash,
            EXAMPLE + b"x" * MAX_REQUEST,
        ):
            self.assertRaises(ValueError, decode, wrong)
        decode(b"old 1\n" + (hash + b"\n") * 63 + b"\nx\n")

    @given(st.binary(max_size=200))
    def test_anyBytes(self, data):
        for body in (data, b"old 1\n" + data):
            try:
                decode(body)
            except ValueError:
                pass
