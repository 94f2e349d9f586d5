"""The audit of a screening: signs that the policy raised its reward without getting better."""

from eval.audit.audit import NEVER_VARIED, AuditedRun, audit
from eval.audit.settings import AuditSettings

__all__ = ["NEVER_VARIED", "AuditSettings", "AuditedRun", "audit"]
