"""What a tool's name says it does: whether it only looks, makes something new, or changes what is there, in many languages.

A name is read as its maker's: an application's name may stand before the verb (`tracker_get_issue`, `shop__list_orders`), the
verb at the end (`beleg_lesen`). One word that changes, sends or destroys anywhere in the name, and the tool does not only look.
"""

# ruff: noqa: SIM905 - word lists read best as text

from functools import lru_cache

from ostiary.provenance.words import parts

_READ = frozenset(
    (
        "get list read search find fetch show view lookup query check describe count browse retrieve download summarize summarise "
        "inspect calculate compute estimate compare detail details info detalle detalles consulta consultas historial histórico übersicht aperçu "
        "lies lese suche suchen zeige zeigen liste hole finde pruefe prüfe berechne hole lire chercher afficher obtenir lister consulter "
        "trouver rechercher voir compter calculer obtener leer buscar listar consultar ver mostrar encontrar calcular cerca cercare leggi "
        "leggere mostra elenca trova visualizza calcola ler obter pesquisar procurar exibir visualizar zoek zoeken lees toon vind bekijk "
        "pobierz szukaj znajdź znajdz lista pokaż pokaz getir ara bul listele göster goster oku hämta sök visa läs hent søg vis "
        "получить найти список показать прочитать поиск取得 検索 一覧 確認 表示 查询 搜索 查看 获取 列出 조회 검색 목록 current recall whoami"
    ).split()
)
_LAST = frozenset(
    (
        "lesen suchen anzeigen auflisten abrufen abfragen finden holen prüfen pruefen ansehen einsehen nachschlagen berechnen "
        "取得 検索 一覧 確認 表示 照会 查询 搜索 조회 검색"
    ).split()
)
"""Verbs that stand at the end, and are nothing but verbs."""
_PREFIXED = frozenset("get list search read fetch find show describe lookup query retrieve view count browse check".split())
"""Verbs before which the name of an application may stand."""
_NOUNS = frozenset("list view query count check read".split())
"""Those that are also things, so that after a word nobody knows they are verbs only when something follows."""
_REVERSIBLE = frozenset(
    (
        "create add draft save append update set rename move copy mark label star archive tag edit schedule reserve anlegen erstellen "
        "hinzufügen hinzufuegen crear añadir crea aggiungi créer ajouter criar adicionar maak voeg"
    ).split()
)
OUTWARD = frozenset(
    (
        "send mail email post publish share invite pay transfer forward reply message upload webhook call notify tweet broadcast "
        "submit book order buy purchase wire remit request http sms push export"
    ).split()
)
DANGEROUS = frozenset(
    ("delete remove drop destroy purge cancel terminate revoke kill execute exec run shell eval grant reset format wipe overwrite").split()
)
_CHANGES = DANGEROUS | frozenset(
    (
        "create add draft save append update set rename move copy mark label star archive edit schedule reserve insert replace change "
        "modify patch put write assign unassign apply approve accept reject decline close open reopen resolve complete finish "
        "enable disable activate deactivate block unblock lock unlock ban unban suspend resume start stop pause restart reboot "
        "merge deploy release rollback revert restore import sync attach detach link unlink join leave follow unfollow subscribe "
        "unsubscribe register unregister enroll dismiss acknowledge ack snooze trigger fire dispatch reroute scale "
        "refund charge withdraw deposit settle redeem claim sign vote rate install uninstall provision rotate issue void "
        "flush clear empty erase truncate expire prune trim reindex promote demote escalate toggle switch turn "
        "send forward reply publish share invite pay upload notify tweet broadcast submit buy purchase wire remit push export "
        "anlegen ändern aendern löschen loeschen senden setzen buchen zahlen starten stornieren sperren speichern hinzufügen "
        "crear cambiar borrar eliminar enviar pagar cancelar actualizar modificar añadir agregar activar suspender "
        "créer modifier supprimer envoyer payer annuler ajouter changer mettre envoie supprime paie "
        "criar alterar excluir apagar atualizar adicionar marcar trocar emitir remarcar agendar "
        "crea modifica elimina invia paga annulla aggiungi"
    ).split()
)
"""Words with which a tool does not only look, wherever in its name they stand."""
MIDDLE = frozenset({"email", "mail", "message", "order", "book", "call", "post", "request", "share"})
"""Words that are deeds at the head of a name, and things elsewhere."""
_THINGS = MIDDLE | frozenset(
    (
        "issue link label star draft export import release rate claim order charge refund deposit copy format tag schedule patch "
        "set open run join trigger start stop push switch sign put mark change lock scale vote archive sms tweet webhook http notification"
    ).split()
)
"""Words that may be what is looked at, once a verb of looking stands before them: `get_issue`, `list_releases`."""
_APPS = MIDDLE - {"share", "request"} | frozenset(
    "issue link label star release claim charge deposit lock sms tweet webhook notification".split()
)
"""Words applications are called by: `EmailManagerGetInbox`, `order_get_status`."""
_WORLD = frozenset("web internet google bing brave duckduckgo tavily exa serp browser website websites webpage webpages online".split())
"""Words for looking in the open world, where what one asks is seen by others."""
_MAKES = frozenset(
    (
        "create add send post book submit order draft reserve schedule request make new publish compose insert log record notify reply "
        "comment message text inform alert notificar avisar informar responder notifier benachrichtigen antworten "
        "senden anlegen erstellen buchen erfassen hinzufügen crear enviar añadir agregar reservar publicar créer envoyer ajouter "
        "réserver publier criar adicionar marcar emitir crea invia aggiungi prenota verzenden maak stuur 作成 送信 追加 予約 创建 发送 添加"
    ).split()
)
_SHOWN = frozenset("logs status history info details overview statistics stats".split())
"""What is looked at: a name may end so, without any verb, when what is said of the tool begins with one of looking."""
_SAID = _READ | frozenset("gets lists searches finds fetches shows returns return retrieves describes displays".split())
_ONESELF = frozenset("whoami me myself self profile profil perfil profilo profiel".split())
_ENTERS = frozenset("login signin authenticate logon anmelden einloggen connexion ログイン 登录 로그인".split())


MAX_NAME = 3
"""Words of an application's name that may stand before the verb."""


def _words(name: str) -> list[str]:
    """Return the words of a tool's name, without the server's that may stand before it."""
    return parts(name.rpartition("__")[2])


@lru_cache(maxsize=4096)
def only_looks(name: str, said: str = "") -> bool:
    """Say whether a tool by this name, of which its maker says `said`, only looks."""
    words = _words(name)
    if not words:
        return False
    at = next((at for at, word in enumerate(words[: MAX_NAME + 1]) if word in (_PREFIXED if at > 0 else _READ)), None)
    if at is None or (at > 0 and not _follows_a_name(words, at)):
        if words[-1] not in _LAST and not (words[-1] in _SHOWN and _SAID.intersection(parts(said[:64])[:1])):
            return False
        at = len(words)
    before, after = words[:at], words[at:]
    if "to" in after and not MIDDLE.isdisjoint(before):
        return False
    of_names = _APPS if after and after[0] not in _NOUNS else frozenset[str]()
    if after[:1] == ["check"] and after[1:2] in (["in"], ["out"]):
        return False
    return (
        not ((_CHANGES | OUTWARD) - of_names).intersection(before) and not (_CHANGES - _THINGS).intersection(after) and not _has_deed(after)
    )


def _follows_a_name(words: list[str], at: int) -> bool:
    return (words[at] not in _NOUNS or len(words) > at + 1) and len("".join(words[:at])) > 1


def _has_deed(after: list[str]) -> bool:
    """Say whether a second verb is joined to the first: `get_and_run`, `read_then_copy`."""
    joined = next((at for at, word in enumerate(after) if word in {"and", "or", "then", "und", "et", "y", "e"}), len(after))
    return bool((_CHANGES | OUTWARD).intersection(after[joined:])) or bool((OUTWARD - MIDDLE).intersection(after[1:]) - _THINGS)


@lru_cache(maxsize=4096)
def looks_outside(name: str) -> bool:
    """Say whether a tool by this name asks the open world."""
    return not _WORLD.isdisjoint(parts(name))


@lru_cache(maxsize=4096)
def is_reversible(name: str) -> bool:
    """Say whether a tool by this name changes only its own records, in a way that can be taken back."""
    words = _words(name)
    return bool(words) and words[0] in _REVERSIBLE and not DANGEROUS.intersection(words) and not OUTWARD.intersection(words)


@lru_cache(maxsize=4096)
def makes_new(name: str) -> bool:
    """Say whether a tool by this name makes something new, so that what is left empty there clears nothing."""
    words = _words(name)
    return (
        bool(words) and not _MAKES.isdisjoint((words[0], words[-1], *words[1:2])) and not (_CHANGES - _MAKES - _THINGS).intersection(words)
    )


@lru_cache(maxsize=4096)
def asks_for_oneself(name: str) -> bool:
    """Say whether a tool by this name tells who one is, when it is asked for nobody: `show_profile`, `get_me`, `current_user`."""
    words = _words(name)
    if not only_looks(name) and words[:1] not in (["whoami"], ["current"], ["my"]):
        return False
    return words[-1] in _ONESELF or (
        words[-1] in {"user", "account", "identity"} and not {"my", "own", "current", "self"}.isdisjoint(words)
    )


@lru_cache(maxsize=4096)
def lets_in(name: str) -> bool:
    """Say whether a tool by this name opens a session with somebody's name and secret."""
    words = _words(name)
    return not _ENTERS.isdisjoint(words) or words[-2:] in (["log", "in"], ["sign", "in"])
