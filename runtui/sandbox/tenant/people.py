"""The people of the tenant, and the cohorts that workflows process.

Invariant: a person is a pure function of (seed, number, names). The people of a cohort are in the order of their day:
their first day, their last day, or the day on which they move. Properties: the `user` resource of Microsoft Graph.
"""

from __future__ import annotations

from collections.abc import Container
from functools import lru_cache
from typing import Any, Final, NamedTuple

from runtui.sandbox.entities import guid

ARRIVALS_PER_DAY: Final = 10
"""The number of people of a cohort who have their day on the same day."""

_DOMAIN: Final = "contoso.com"

# fmt: off
_GIVEN_NAMES: Final = (
    "Adele", "Alejandra", "Anna", "Aoife", "Ben", "Birgit", "Bruno", "Carla", "Chidi", "Clara", "Daniel", "Deniz",
    "Elena", "Emil", "Fatima", "Felix", "Grace", "Hannah", "Henrik", "Ibrahim", "Ines", "Jakub", "Jonas", "Julia",
    "Karim", "Katrin", "Lars", "Leila", "Lucas", "Maja", "Marco", "Maria", "Mateo", "Miriam", "Nadia", "Nils",
    "Noor", "Olga", "Oscar", "Paula", "Pedro", "Priya", "Rafael", "Ravi", "Rosa", "Samira", "Simon", "Sofia",
    "Sven", "Tara", "Theo", "Thomas", "Uma", "Vera", "Victor", "Wei", "Yara", "Yusuf", "Zoe",
)
_SURNAMES: Final = (
    "Adeyemi", "Almeida", "Andersen", "Arslan", "Bauer", "Becker", "Bianchi", "Brandt", "Byrne", "Carvalho", "Chen",
    "Costa", "Dubois", "Eriksen", "Farah", "Ferrari", "Fischer", "Garcia", "Gupta", "Haddad", "Hansen", "Hoffmann",
    "Ivanova", "Jansen", "Jensen", "Kaya", "Keller", "Khan", "Kowalska", "Kumar", "Lange", "Larsson", "Lindqvist",
    "Lopez", "Marino", "Martin", "Meyer", "Moreau", "Murphy", "Nair", "Navarro", "Nguyen", "Nowak", "Okafor",
    "Olsen", "Osei", "Park", "Peeters", "Petrov", "Ramos", "Rao", "Ricci", "Rossi", "Santos", "Schmidt", "Silva",
    "Singh", "Smit", "Sokolov", "Tanaka", "Torres", "Ullrich", "Varga", "Vogel", "Weber", "Wolf", "Zhang",
)
_TOKYO_GIVEN_NAMES: Final = (
    ("花子", "hanako"), ("健太", "kenta"), ("美咲", "misaki"), ("大輔", "daisuke"), ("陽子", "yoko"), ("翔", "sho"),
    ("結衣", "yui"), ("直樹", "naoki"), ("彩", "aya"), ("亮", "ryo"), ("恵", "megumi"), ("拓也", "takuya"),
    ("舞", "mai"),
)
_TOKYO_SURNAMES: Final = (
    ("佐藤", "sato"), ("鈴木", "suzuki"), ("高橋", "takahashi"), ("田中", "tanaka"), ("伊藤", "ito"),
    ("渡辺", "watanabe"), ("山本", "yamamoto"), ("中村", "nakamura"), ("小林", "kobayashi"),
    ("加藤", "kato"), ("吉田", "yoshida"),
)
_PLACES: Final = (
    ("Berlin", "de-DE", "+49 30 5550"), ("Dublin", "en-IE", "+353 1 555 0"), ("Milan", "it-IT", "+39 02 5550 "),
    ("Oslo", "nb-NO", "+47 55 50 "), ("Lisbon", "pt-PT", "+351 21 555 0"),
)
_JOBS: Final = (
    "Account executive", "Sales engineer", "Controller", "Buyer", "Recruiter", "Software engineer", "Test engineer",
    "Product manager", "Support engineer", "Planner", "Legal counsel", "Designer",
)
# fmt: on
_PARTNERS: Final = ("fabrikam.com", "northwind-it.com", "litware.net")


class Cohort(NamedTuple):
    """A group of people: `size` of them, with the numbers from `first` on."""

    first: int
    size: int

    def member(self, place: int) -> int:
        """Return the number of the person at a place of the cohort; after the last place it begins again."""
        return self.first + place % self.size


JOINERS: Final = Cohort(0, 900)
MOVERS: Final = Cohort(900, 900)
LEAVERS: Final = Cohort(1_800, 900)
CONTRACTORS: Final = Cohort(2_700, 400)
GUESTS: Final = Cohort(3_100, 500)
TOKYO: Final = Cohort(3_600, 400)
NEWCOMERS: Final = Cohort(4_000, 10_000)
"""The staff of a company that was bought."""
_USER_COUNT: Final = 14_000


class Person(NamedTuple):
    """A user of the tenant."""

    id: str
    number: int
    given_name: str
    surname: str
    display_name: str
    user_principal_name: str
    mail: str
    place: tuple[str, str, str]
    """Office, language, and the prefix of the office's phone numbers."""
    job: str
    is_guest: bool

    @property
    def properties(self) -> dict[str, Any]:
        """The `user` resource as JSON: the properties that Graph sends by default, and the other one that runtui asks
        for.
        """
        office, language, phone = self.place
        return {
            "id": self.id,
            "businessPhones": [] if self.is_guest else [f"{phone}{self.number:04}"],
            "displayName": self.display_name,
            "givenName": self.given_name,
            "jobTitle": None if self.is_guest else self.job,
            "mail": self.mail,
            "mobilePhone": None,
            "officeLocation": None if self.is_guest else office,
            "preferredLanguage": None if self.is_guest else language,
            "surname": self.surname,
            "userPrincipalName": self.user_principal_name,
            # All accounts in Berlin are synchronized from an on-premises Active Directory.
            "onPremisesSyncEnabled": True if office == "Berlin" and not self.is_guest else None,
        }


SENT_IF_SELECTED: Final = frozenset({"onPremisesSyncEnabled"})
"""The properties of a person that Graph does not send by default."""


class People:
    """The people of one tenant. If given, `names` replace the display names, in turn. People whose ids are in `deleted`
    cannot be found.
    """

    def __init__(self, seed: int, names: tuple[str, ...] = (), deleted: Container[str] = ()) -> None:
        self._seed = seed
        self._names = names
        self._deleted = deleted
        self._known: dict[int, Person] = {}

    def find(self, user_id: str) -> Person | None:
        """Return a person by id or user principal name; None if there is none, or the person was deleted."""
        found = _everybody(self._seed, self._names).get(user_id.casefold())
        return None if found is None or found.id in self._deleted else found

    def person(self, number: int) -> Person:
        if number not in self._known:
            self._known[number] = self._introduce(number)
        return self._known[number]

    def _introduce(self, number: int) -> Person:
        if GUESTS.first <= number < GUESTS.first + GUESTS.size:
            return self._guest(number)
        is_in_tokyo = TOKYO.first <= number < TOKYO.first + TOKYO.size
        return self._tokyo(number) if is_in_tokyo else self._member(number)

    def _member(self, number: int) -> Person:
        given, surname = self._names_of(number)
        prefix = "v-" if CONTRACTORS.first <= number < GUESTS.first else ""
        namesakes = number // (len(_GIVEN_NAMES) * len(_SURNAMES))
        address = f"{prefix}{given}.{surname}{namesakes + 1 if namesakes else ''}".lower()
        return self._named(number, given, surname, f"{given} {surname}", address)

    def _guest(self, number: int) -> Person:
        given, surname = self._names_of(number)
        partner = _PARTNERS[number % len(_PARTNERS)]
        address = f"{given}.{surname}".lower()
        person = self._named(
            number, given, surname, f"{given} {surname} ({partner.partition('.')[0].title()})", address
        )
        name = f"{address}_{partner}#EXT#@contoso.onmicrosoft.com"
        return person._replace(user_principal_name=name, mail=f"{address}@{partner}", is_guest=True)

    def _tokyo(self, number: int) -> Person:
        place = number - TOKYO.first
        given, spoken = _TOKYO_GIVEN_NAMES[place % len(_TOKYO_GIVEN_NAMES)]
        surname, spoken_surname = _TOKYO_SURNAMES[place % len(_TOKYO_SURNAMES)]
        namesakes = place // (len(_TOKYO_GIVEN_NAMES) * len(_TOKYO_SURNAMES))
        address = f"{spoken}.{spoken_surname}{namesakes + 1 if namesakes else ''}"
        person = self._named(number, given, surname, f"{surname} {given}", address)
        return person._replace(place=("Tokyo", "ja-JP", "+81 3 5550 "))

    def _named(self, number: int, given: str, surname: str, display_name: str, address: str) -> Person:
        name = self._names[number % len(self._names)] if self._names else display_name
        job, place = _JOBS[number % len(_JOBS)], _PLACES[number % len(_PLACES)]
        mail = f"{address}@{_DOMAIN}"
        user_id = guid(self._seed, "person", number)
        return Person(user_id, number, given, surname, name, mail, mail, place, job, is_guest=False)

    def _names_of(self, number: int) -> tuple[str, str]:
        """Return a given name and a surname. Each pair occurs once, because the list lengths have no common divisor."""
        return _GIVEN_NAMES[number * 23 % len(_GIVEN_NAMES)], _SURNAMES[number * 29 % len(_SURNAMES)]


@lru_cache(maxsize=2)
def _everybody(seed: int, names: tuple[str, ...]) -> dict[str, Person]:
    """Return the people of a tenant by id and by user principal name, cached for servers in the same process."""
    people = People(seed, names)
    everybody = [people.person(number) for number in range(_USER_COUNT)]
    return {key.casefold(): person for person in everybody for key in (person.id, person.user_principal_name)}
