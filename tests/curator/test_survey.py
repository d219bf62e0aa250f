"""What is sealed is found by looking."""

import os

from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator.survey import sealed, survey
from hoopx.frames import OPEN, segmentName
from tests.curator.rig import Recorded


class SurveyTests(SynchronousTestCase):
    def test_sessions(self):
        data = self.mktemp()
        self.assertEqual(list(survey(data, set())), [])
        recorded = Recorded(data)
        found = [recorded.session() for _ in range(3)]
        self.assertEqual(
            sorted(survey(data, {found[1].session})), sorted((each.session, each.path) for each in (found[0], found[2]))
        )

    def test_sealed(self):
        recording = Recorded(self.mktemp()).session(2, close=False)
        self.assertEqual(sealed(recording.path, 0), os.path.join(recording.path, segmentName(0)))
        self.assertIsNone(sealed(recording.path, 1))
        os.link(os.path.join(recording.path, OPEN), os.path.join(recording.path, segmentName(1)))
        self.assertIsNone(sealed(recording.path, 1))
