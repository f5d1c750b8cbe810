"""`mobilesam bench`: how fast this is here, beside other implementations, in one interleaved run.

Each candidate lives in a process of its own (`worker.py`), so that none's libraries, threads or memory count for
another. One round asks every candidate for every job, in turn, so that a drift of the machine hits all alike; what is
printed are medians over rounds, and ratios only between values of one run (`report.py`).
"""

from .candidates import Candidate, chosen
from .measure import run
from .report import NotInterleavedError, Report, ratio

__all__ = ["Candidate", "NotInterleavedError", "Report", "chosen", "ratio", "run"]
