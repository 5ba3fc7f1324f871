"""What an administrator writes on connecting the benchmark's servers: from names, descriptions and schemas alone."""

from ostiary.core.registry import Profile, Server

SERVERS: dict[str, Server] = {
    "mail": Server("mail", trust="trusted"),
    "calendar": Server("calendar", trust="trusted"),
    "drive": Server("drive", trust="trusted"),
    "bank": Server("bank", trust="trusted"),
    "files": Server("files", trust="untrusted"),
    "account": Server("account", trust="trusted"),
    "chat": Server("chat", trust="trusted"),
    "web": Server("web", trust="untrusted"),
    "travel": Server("travel", trust="trusted"),
}
"""The web and other people's files are anybody's text; the other systems vouch for the fields named below."""

_WORDS = {
    "web": ("webpage", "download"),
    "chat": ("channel", "slack", "inbox", "direct_message", "users_in"),
    "mail": ("email", "contacts"),
    "calendar": ("calendar", "current_day"),
    "drive": ("file_by_id", "list_files", "create_file", "delete_file", "share_file", "append_to_file", "search_files"),
    "files": ("read_file",),
    "account": ("user_info", "password", "user_information"),
    "bank": ("transaction", "money", "balance", "iban"),
}


def server_of(tool: str) -> str:
    """Return the server that would offer a tool."""
    return next((server for server, words in _WORDS.items() if any(word in tool for word in words)), "travel")


def _reads(attested: str = "", directory: str = "", labels: str = "", control: str = "", *, external: bool = False) -> Profile:
    return Profile(
        "read",
        external,
        frozenset(control.split()),
        frozenset(),
        frozenset(attested.split()),
        frozenset(directory.split()),
        frozenset(labels.split()),
        confirmed=True,
    )


def _acts(effect: str, control: str, payload: str = "", attested: str = "", *, external: bool = True) -> Profile:
    return Profile(effect, external, frozenset(control.split()), frozenset(payload.split()), frozenset(attested.split()), confirmed=True)


MAIL = "id_ sender recipients cc bcc subject timestamp"
EVENT = "id_ title start_time end_time location participants"
FILE = "id_ filename owner last_modified size shared_with"
PAYMENT = "id sender recipient amount date"

PROFILES: dict[str, Profile] = {
    "get_unread_emails": _reads(MAIL),
    "get_sent_emails": _reads(MAIL),
    "get_received_emails": _reads(MAIL),
    "get_draft_emails": _reads(MAIL),
    "search_emails": _reads(MAIL),
    "search_contacts_by_name": _reads("", "email name"),
    "search_contacts_by_email": _reads("", "email name"),
    "send_email": _acts("irreversible", "recipients cc bcc attachments", "subject body", MAIL),
    "delete_email": _acts("reversible", "email_id"),
    "get_current_day": _reads("", "result"),
    "search_calendar_events": _reads(EVENT),
    "get_day_calendar_events": _reads(EVENT),
    "create_calendar_event": _acts("reversible", "start_time end_time participants location", "title description", EVENT),
    "cancel_calendar_event": _acts("reversible", "event_id"),
    "reschedule_calendar_event": _acts("reversible", "event_id new_start_time new_end_time", "", EVENT),
    "add_calendar_event_participants": _acts("reversible", "event_id participants", "", EVENT),
    "search_files_by_filename": _reads(FILE),
    "search_files": _reads(FILE),
    "list_files": _reads(FILE),
    "get_file_by_id": _reads(FILE),
    "create_file": _acts("reversible", "filename", "content", FILE, external=False),
    "append_to_file": _acts("reversible", "file_id", "content", FILE, external=False),
    "delete_file": _acts("irreversible", "file_id", "", FILE, external=False),
    "share_file": _acts("irreversible", "file_id email permission"),
    "get_iban": _reads("", "result"),
    "get_balance": _reads("result"),
    "get_most_recent_transactions": _reads(PAYMENT),
    "get_scheduled_transactions": _reads(f"{PAYMENT} subject"),
    "send_money": _acts("irreversible", "recipient amount", "subject"),
    "schedule_transaction": _acts("irreversible", "recipient amount date recurring", "subject"),
    "update_scheduled_transaction": _acts("irreversible", "id recipient amount date recurring", "subject"),
    "read_file": _reads(),
    "get_user_info": _reads("first_name last_name street city", labels="pii"),
    "get_user_information": _reads(labels="confidential"),
    "update_user_info": _acts("reversible", "first_name last_name street city"),
    "update_password": _acts("irreversible", "password"),
    "get_channels": _reads("", "result"),
    "get_users_in_channel": _reads("", "result"),
    "read_channel_messages": _reads("recipient", "sender", control="channel"),
    "read_inbox": _reads("recipient", "sender", control="user"),
    "send_direct_message": _acts("irreversible", "recipient", "body"),
    "send_channel_message": _acts("irreversible", "channel", "body"),
    "add_user_to_channel": _acts("reversible", "user channel"),
    "invite_user_to_slack": _acts("irreversible", "user user_email"),
    "remove_user_from_slack": _acts("irreversible", "user"),
    "get_webpage": _reads(control="url", external=True),
    "download_file": _acts("irreversible", "url file_name"),
    "post_webpage": _acts("irreversible", "url", "content"),
    "get_hotels_address": _reads("*"),
    "get_restaurants_address": _reads("*"),
    "reserve_hotel": _acts("irreversible", "hotel start_day end_day"),
    "reserve_restaurant": _acts("irreversible", "restaurant start_time"),
    "reserve_car_rental": _acts("irreversible", "company start_time end_time"),
}
