"""The index's process rests while others wait for the processors, and works on while nobody does."""

from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator.leisure import CROWDED, LONGEST, REST, TURN, Leisure


class LeisureTests(SynchronousTestCase):
    def setUp(self):
        self.ran = self.waited = 5.0
        self.slept = []
        self.leisure = Leisure(lambda: (self.ran, self.waited), self.sleep)

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.waited += 0.001  # for its turn afterwards

    def on(self, ran, waited):
        self.ran += ran
        self.waited += waited
        self.leisure()

    def test_alone(self):
        for _ in range(100):
            self.on(TURN, TURN * CROWDED * 0.9)
        self.assertEqual(self.slept, [])

    def test_crowded(self):
        """As long as it lasts, and in proportion to what was worked."""
        self.on(TURN * 0.5, TURN)
        self.assertEqual(self.slept, [])
        self.on(TURN * 0.6, TURN)
        self.assertEqual([round(each / TURN, 6) for each in self.slept], [1.1 * REST])
        self.on(TURN * 2, TURN * 2)
        self.assertEqual(len(self.slept), 2)
        self.on(TURN * 2, 0.0)
        self.on(TURN * 2, 0.0)
        self.assertEqual(len(self.slept), 2)

    def test_longWork(self):
        """After a minute of work without a pause nothing waits for minutes."""
        self.on(60.0, 60.0)
        self.assertEqual(self.slept, [LONGEST])
        self.on(TURN * 2, TURN * 2)
        self.assertEqual([round(each / TURN, 6) for each in self.slept[1:]], [2 * REST])
