"""Who hears what the layers of a model find while it is called."""

import contextlib
import threading


class Listeners(threading.local):
    """The lists that are filled by the calls in this thread.

    A replica has a thread, so it hears of its own part of a batch alone.
    """

    def __init__(self):
        self._open = []

    @contextlib.contextmanager
    def listening(self, heed=None):
        """Yields a list that fills with what the calls made meanwhile tell.

        Args:
            heed: Function that is called with each of it first. Defaults to
                None.
        """
        heard = []
        self._open.append((heed, heard))
        try:
            yield heard
        finally:
            self._open.pop()

    def tell(self, found):
        """Adds what a layer found to all lists."""
        for heed, heard in self._open:
            if heed is not None:
                heed(found)
            heard.append(found)
