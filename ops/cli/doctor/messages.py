"""Checks of what messages need: SES, the platform applications, and the addresses. Skipped where none are sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ops.cli.doctor.examination import Examination, Finding, Skipped, ok, problem, warning


def _settings(examination: Examination) -> Mapping[str, str]:
    if not examination.courier:
        raise Skipped("no messages are sent from here")
    return examination.courier


def _sender(examination: Examination) -> str:
    """EMAIL_FROM; skipped without one, and on the local stack."""
    sender = _settings(examination).get("EMAIL_FROM")
    if not sender:
        raise Skipped("no e-mails are sent from here")
    if examination.target.is_local:
        raise Skipped("the local stack has moto in the place of SES")
    return sender


def email_account(examination: Examination) -> Iterator[Finding]:
    """Sandbox, paused sending and the day's quota (Amazon SES API v2 Reference, "GetAccount")."""
    _sender(examination)
    found = examination.target.client("sesv2").get_account()
    quota = found.get("SendQuota", {})
    if not found.get("ProductionAccessEnabled"):
        yield problem(
            "SES is in its sandbox, and sends to verified addresses only", "Ask for production access in SES."
        )
    if not found.get("SendingEnabled"):
        yield problem("sending is paused", "SES' console says why: bounces and complaints, as a rule.")
    most, sent = quota.get("Max24HourSend", 0.0), quota.get("SentLast24Hours", 0.0)
    if most > 0 and sent > 0.8 * most:
        yield warning(
            f"{sent:,.0f} of {most:,.0f} e-mails of the last 24 hours are used", "Ask for a higher quota in SES."
        )
    rate = float(_settings(examination).get("MESSAGES_PER_SECOND") or 10)
    if 0 < quota.get("MaxSendRate", 0.0) < rate:
        fix = "Lower MessagesPerSecond, or ask for a higher rate in SES."
        yield warning(f"SES takes {quota['MaxSendRate']:,.0f} a second, and the courier sends {rate:,.0f}", fix)
    yield ok(f"{sent:,.0f} of {most:,.0f} e-mails in 24 hours, {quota.get('MaxSendRate', 0):,.0f} a second")


def email_identity(examination: Examination) -> Iterator[Finding]:
    """The domain of EMAIL_FROM, else the address itself: verified, and signed by DKIM."""
    address = _sender(examination).rpartition("<")[2].rstrip("> ")
    client = examination.target.client("sesv2")
    for name in (address.rpartition("@")[2], address):
        try:
            found = client.get_email_identity(EmailIdentity=name)
            break
        except client.exceptions.NotFoundException:
            continue
    else:
        yield problem(f"SES has no identity for {address}", "Make one for its domain: docs/deploy.md, Messages.")
        return
    if not found.get("VerifiedForSendingStatus"):
        yield problem(f"{name} is not verified", "Put the records that SES shows into the domain's DNS.")
    elif found.get("DkimAttributes", {}).get("Status", "SUCCESS") != "SUCCESS":
        yield warning(f"{name} has no DKIM", "Put the three CNAME records that SES shows into the domain's DNS.")
    else:
        yield ok(f"{name} is verified")


def push_applications(examination: Examination) -> Iterator[Finding]:
    """Disabled ones reach no one: Apple's and Google's credentials expire."""
    arns = [arn for arn in _settings(examination).get("PUSH_APPLICATION_ARNS", "").split(",") if arn]
    if not arns:
        raise Skipped("no pushes are sent from here")
    for arn in arns:
        found = examination.target.client("sns").get_platform_application_attributes(PlatformApplicationArn=arn)[
            "Attributes"
        ]
        name = arn.rpartition(":")[2]
        if found.get("Enabled", "true").lower() != "true":
            yield problem(f"{name} is disabled", "Give it new credentials in SNS, and enable it.")
        elif not found.get("EventDeliveryFailure"):
            yield warning(f"{name} reports no dead devices", "Set its endpoint events: docs/deploy.md, Messages.")
        else:
            yield ok(f"{name} is enabled")


def recipients(examination: Examination) -> Iterator[Finding]:
    """The view that addresses come from, which a project may have replaced."""
    _settings(examination)
    query = """
    SELECT count(*), count(*) FILTER (WHERE coalesce(email, '') NOT LIKE '%_@_%') FROM reminder_private.recipients
    """
    everyone, without = examination.rows(query)[0]
    if without:
        fix = "They get no e-mails. They see reminders in the app, and get push messages if they have a device."
        yield warning(f"{without:,} of {everyone:,} people have no e-mail address", fix)
    else:
        yield ok(f"{everyone:,} people, all with an e-mail address")
