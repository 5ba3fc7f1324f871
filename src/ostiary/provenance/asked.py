"""Whether the user spoke of doing such a thing at all: what destroys, spends, grants or decides must have been asked for.

A value can be the user's own and the deed not: who asks to move an appointment named it, and did not ask to cancel it.
In a language without words here, such a deed is never the user's, and somebody is asked.
"""

# ruff: noqa: SIM905 - word lists read best as text

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from functools import lru_cache

from ostiary.provenance.words import parts

_DEEDS: dict[str, str] = {
    "delete": "delet remov eras drop destroy purg wip retir trash discard clean clear dispos rid lösch entfern vernicht supprim effac enlev "
    "elimin borr quit cancell rimuov verwijder wis apag remov 削除 消去 消して 删除 移除 삭제",
    "cancel": "cancel annul storn absag abbestell abort terminat stop call withdraw revok unsubscrib undo kündig beend anul résili cancell "
    "annull disdi annuleer 取り消 取消 キャンセル 中止 解約 취소",
    "close": "clos resolv finish complet done end settl schließ schliess abschließ erledig clôtur ferm termin cerr resuelv resolver chiud "
    "risolv sluit 完了 閉じ 关闭 완료",
    "approve": "approv accept confirm sign authoriz authoris allow okay genehmig bewillig bestätig annehm freigeb gib approuv valid autoris "
    "aprob acept approv accett goedkeur 承認 許可 批准 승인",
    "reject": "reject declin deny den refus turn ablehn lehn zurückweis verweiger rejet rechaz deneg rifiut afwijs 却下 拒否 거절",
    "grant": "grant give assign access right permission role admin share allow let invit add enabl promot make erteil geb gib berecht "
    "zugriff zugang freigeb rolle autoris donn accès ajout invit otorg permis acced conced dai aggiung 権限 付与 共有 追加 권한",
    "revoke": "revok remov withdraw tak block disabl suspend susp lock pause stop bloc desactiv desativ entzieh sperr widerruf retir révoqu bloqu revoc sospend 取り消 停止",
    "pay": "pay paid disburs abona abone liquid devuelv transfer wir refund reimburs repay compensat send sent settl bill invoic charg buy purchas spend donat money mov "
    "rent owe split cost fee price credit überweis zahl bezahl erstatt auszahl vergüt kauf rechnung spende vers virement paie pay rembours "
    "règl achèt factur crédit offr pag abon transfier reembols compr transferir bonific rimbors acquist betaal overmak koop 支払 払 振込 返金 "
    "送金 購入 付款 转账 결제 송금",
    "credential": "password passwort kennwort credential secret token key passcode pin mot contraseña wachtwoord reset zurücksetz パスワード "
    "密码 비밀번호",
    "unlock": "unlock disarm open entsperr entriegel aufschließ aufsperr öffn déverrouill ouvr desbloq abr sblocc apr 解錠 開け 打开 解锁 열어",
    "publish": "merg deploy publi releas ship land roll post announc share tweet send live integrat veröffentlich freigeb ausroll "
    "zusammenführ fusion déploi partag despleg lanz compart anunci pubblic 公開 投稿 デプロイ マージ 发布 部署 合并 배포 병합 게시",
}
_ALSO: dict[str, str] = {
    "delete": "удал сотр usuń usun skasuj silin sildir हटा मिटा احذف حذف امسح",
    "cancel": "отмен anuluj odwoł iptal रद्द ألغ الغ إلغاء",
    "close": "закро заверш zamknij zakończ kapat tamamla बंद पूरा أغلق اغلق إغلاق",
    "approve": "одобр подтверд утверд zatwierdź zaakceptuj onayla मंज़ूर मंजूर स्वीकार स्वीकृत وافق اعتمد موافقة",
    "reject": "отклон откаж odrzuć odmów reddet अस्वीकार खारिज नामंज़ूर ارفض رفض",
    "grant": "предостав добав разреш nadaj dodaj udostępnij ekle paylaş अनुमति जोड़ امنح أضف شارك",
    "revoke": "заблок приостан отзов zablokuj cofnij engelle durdur रोक निलंबित أوقف احظر",
    "pay": "оплат заплат перевед переч zapłać zapłac przelej przelew ödeme havale भुगतान चुका निपटा अदा ادفع دفع سدد حوّل حول سداد",
    "credential": "парол hasło hasła şifre parola पासवर्ड كلمة",
    "unlock": "откро отопр otwórz kilidini खोल افتح",
    "publish": "опубл размест opublikuj yayınla प्रकाशित انشر",
}
for _deed, _more in _ALSO.items():
    _DEEDS[_deed] += f" {_more}"
_TOOLS: dict[str, str] = {
    "delete": "delete deleted remove erase drop destroy purge wipe retire löschen loeschen entfernen supprimer effacer eliminar borrar excluir "
    "apagar elimina cancella verwijderen usuń sil удалить 削除 删除 삭제",
    "cancel": "cancel cancelled canceled terminate abort stornieren storniert kündigen annuler resilier anular cancelar anulado cancelado annullare "
    "disdire annuleren anuluj iptal отменить 取消 キャンセル 취소",
    "close": "close closed resolve resolved archive archived schließen abschließen clore clôturer cerrar cerrado encerrar "
    "fechar chiudere sluiten zamknij kapat закрыть 完了 关闭 완료",
    "approve": "approve approved accept accepted confirm genehmigen genehmigt approuver aprobar aprobado aprovar "
    "approvare goedkeuren zatwierdź onayla одобрить 承認 批准 승인",
    "reject": "reject rejected decline declined deny denied ablehnen abgelehnt refuser rechazar rechazado rejeitar "
    "recusar rifiutare afwijzen odrzuć reddet отклонить 却下 拒绝 거절",
    "grant": "grant promote admin owner",
    "revoke": "revoke suspend disable lock deactivate suspended suspender bloquear sperren entziehen bloquer suspendre révoquer desactivar "
    "revocar desativar sospendere bloccare zablokuj заблокировать 停止 禁用",
    "unlock": "unlock disarm entsperren entriegeln desbloquear déverrouiller sbloccare 解錠 解锁",
    "pay": "pay paid payment payout transfer wire refund refunded charge settle settled disburse reimburse überweisen ueberweisen auszahlen "
    "zahlen bezahlen erstatten virement rembourser payer pagar transferir abonar reembolsar pagare rimborsare betalen zapłać öde оплатить "
    "支払 返金 付款 退款 결제 환불",
    "credential": "password passwort credential credentials",
    "publish": "merge deploy publish release veröffentlichen freigeben publier publicar",
}
_EDGES = frozenset({"lock", "sperre"})
"""Those that are deeds only at the head or the end of a name: `lock_door`, not `set_lock_code`."""
_NOUNS = frozenset("payment payout transfer charge virement password passwort credential credentials owner admin".split())
"""Those that also are what something else is done to: `approve_payment_request` approves."""
_STATES = dict.fromkeys(
    "done complete completed finish finished erledigt fertig terminé fini hecho concluído fatto gereed".split(), "close"
)
_STATES |= dict.fromkeys("live published merged deployed".split(), "publish")
"""What the names of choices say besides."""
_DEED_OF = {word: deed for deed, words in _TOOLS.items() for word in words.split()}
_STEMS = tuple((stem, deed) for deed, stems in _DEEDS.items() for stem in stems.split())
_STARTS: dict[str, set[str]] = {}
for _stem, _deed in _STEMS:
    _STARTS.setdefault(_stem, set()).add(_deed)
_LENGTHS = sorted({len(stem) for stem, _ in _STEMS if stem[:1] < "\u3000"})
_UNSPACED = tuple((stem, deed) for stem, deed in _STEMS if stem[:1] >= "\u3000")


@lru_cache(maxsize=4096)
def deeds_of(name: str) -> frozenset[str]:
    """Return which of the deeds that must be asked for a tool's name, or a value chosen from a list, stands for."""
    words = parts(name)
    edges = {0, len(words) - 1}
    found = [(at, word) for at, word in enumerate(words) if word in _DEED_OF and (word not in _EDGES or at in edges)]
    verbs = [(at, word) for at, word in found if word not in _NOUNS or at == 0]
    if not verbs:
        return frozenset(_DEED_OF[word] for _, word in found)
    joined = next((at for at, word in enumerate(words) if word in {"and", "then", "und", "et", "y"}), len(words))
    return frozenset(_DEED_OF[word] for at, word in verbs if at == verbs[0][0] or at > joined)


@lru_cache(maxsize=4096)
def choice_of(name: str) -> frozenset[str]:
    """Return which deeds the short name of something to choose stands for: `Done`, `Cancel order`."""
    words = parts(name)
    return frozenset(_STATES.get(word) or _DEED_OF.get(word, "") for word in words) - {""} if 0 < len(words) <= 3 else frozenset()


@lru_cache(maxsize=4096)
def only_spends(name: str) -> bool:
    """Say whether a tool only spends: whom to pay and how much, in the user's own words, is asked for by being said."""
    return deeds_of(name) == {"pay"}


def deeds_in(text: str, words: Iterable[str]) -> set[str]:
    """Return the deeds a text of the user speaks of; `words` are its folded words."""
    found: set[str] = set()
    for word in words:
        for length in _LENGTHS:
            if length > len(word):
                break
            found |= _STARTS.get(word[:length], frozenset())
    return found | {deed for stem, deed in _UNSPACED if stem in text}


def is_asked(name: str, spoken: AbstractSet[str]) -> bool:
    """Say whether something a tool's name or a chosen value stands for was spoken of; what stands for no such deed needs no word."""
    deeds = deeds_of(name)
    return deeds <= spoken
