"""What the settings say to the policy."""

from smoothtask.config.settings import Settings
from smoothtask.policy.parameters import BadLimits, ContentionLimits, Hysteresis, PersonLimits, PolicyParameters


def parameters_of(settings: Settings) -> PolicyParameters:
    """What *settings* say to the policy."""
    return PolicyParameters(
        ContentionLimits(**settings.contention.model_dump()),
        Hysteresis(**settings.hysteresis.model_dump()),
        frozenset(settings.protected_apps),
        PersonLimits(**settings.person.model_dump(exclude={"input", "windows", "sound"})),
        BadLimits(**settings.bad.model_dump()),
    )
