"""What the sandbox's aiohttp application carries."""

from aiohttp import web

from app.sandbox.accounts import Accounts
from app.sandbox.config import SandboxConfig
from app.sandbox.faults import FaultBox
from app.sandbox.jobs.manager import Jobs
from app.sandbox.stats import Stats

CONFIG = web.AppKey("config", SandboxConfig)
ACCOUNTS = web.AppKey("accounts", Accounts)
BOX = web.AppKey("box", FaultBox)
JOBS = web.AppKey("jobs", Jobs)
STATS = web.AppKey("stats", Stats)
ENGINE = web.AppKey("engine", str)
