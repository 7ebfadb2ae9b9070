"""What a single value of an order must be. Each check returns the value as it is stored, or raises Rejected."""

import re
from decimal import Decimal

from write_model.orders.iso import COUNTRIES, EXPONENTS
from write_model.orders.state import Address, Item
from write_model.refusals import Rejected

MAX_ITEMS = 100
MAX_QUANTITY = 1_000
MAX_PRICE = 100_000_000
"""Minor units; with the other bounds a total stays far below 2**53, where Cosmos DB's numbers are exact."""

_KEY = re.compile(r"[A-Za-z0-9._@-]{1,64}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Unicode's categories Cc and Cs."""
_EMAIL = re.compile(r"[^\s@]+@[^\s@.]+(\.[^\s@.]+)+")


def key(value: str, field: str, code: str) -> str:
    """A customer id or a sku: 1 to 64 letters, digits and `. _ @ -`."""
    if not _KEY.fullmatch(value):
        raise Rejected(code, "must be 1 to 64 letters, digits or any of . _ @ -", field)
    return value


def text(value: str, field: str, longest: int) -> str:
    """1 to `longest` characters without control characters; blanks around it are dropped."""
    stripped = value.strip()
    if not stripped:
        raise Rejected("TEXT_EMPTY", "must not be empty", field)
    if len(stripped) > longest:
        raise Rejected("TEXT_TOO_LONG", f"must be at most {longest} characters", field)
    if _CONTROL.search(stripped):
        raise Rejected("TEXT_INVALID", "must not contain control characters", field)
    return stripped


def optional_text(value: str | None, field: str, longest: int) -> str | None:
    """As `text`; nothing, or only blanks, is None."""
    return text(value, field, longest) if value and value.strip() else None


def email(value: str, field: str) -> str:
    """Something@domain.tld, at most 254 characters (RFC 5321, 4.5.3.1)."""
    address = text(value, field, 254)
    if not _EMAIL.fullmatch(address):
        raise Rejected("EMAIL_INVALID", "must look like name@example.com", field)
    return address


def currency(value: str, field: str) -> str:
    """An ISO 4217 code in capitals."""
    if value not in EXPONENTS:
        raise Rejected("CURRENCY_UNKNOWN", "must be an ISO 4217 currency code such as USD", field)
    return value


def quantity(value: int, field: str) -> int:
    """1 to MAX_QUANTITY pieces."""
    if not 1 <= value <= MAX_QUANTITY:
        raise Rejected("QUANTITY_OUT_OF_RANGE", f"must be 1 to {MAX_QUANTITY}", field)
    return value


def minor_units(amount: Decimal, currency: str, field: str) -> int:
    """An amount as integer minor units, exactly; refused if it has more digits than the currency."""
    digits = EXPONENTS[currency]
    sign, parts, exponent = amount.as_tuple()
    if not isinstance(exponent, int) or (sign and any(parts)):
        raise Rejected("PRICE_OUT_OF_RANGE", "must be a number, zero or more", field)
    # Integers, not the decimal context, which would round what is longer than its precision; and without the trailing
    # zeros, of which a caller may write any number.
    significant = "".join(map(str, parts)).rstrip("0")
    if not significant:
        return 0
    if amount.adjusted() > 20:
        raise Rejected("PRICE_OUT_OF_RANGE", "is too large", field)
    shift = exponent + len(parts) - len(significant) + digits
    if shift < 0:
        raise Rejected("AMOUNT_PRECISION", f"{currency} amounts have at most {digits} decimal digits", field)
    return int(significant) * int(10**shift)


def item(sku: str, title: str, pieces: int, unit_price: Decimal, order_currency: str, field: str) -> Item:
    """A line; `field` is the input path of the line."""
    price = minor_units(unit_price, order_currency, f"{field}.unitPrice")
    if price > MAX_PRICE:
        raise Rejected("PRICE_OUT_OF_RANGE", f"must be at most {MAX_PRICE} minor units", f"{field}.unitPrice")
    return Item(
        sku=key(sku, f"{field}.sku", "SKU_INVALID"),
        title=text(title, f"{field}.title", 200),
        quantity=quantity(pieces, f"{field}.quantity"),
        unit_price=price,
    )


def address(value: Address, field: str) -> Address:
    """A postal address; `field` is its input path."""
    if value.country not in COUNTRIES:
        raise Rejected("COUNTRY_UNKNOWN", "must be an ISO 3166-1 alpha-2 code such as DE", f"{field}.country")
    return Address(
        name=text(value.name, f"{field}.name", 200),
        line1=text(value.line1, f"{field}.line1", 200),
        line2=optional_text(value.line2, f"{field}.line2", 200),
        city=text(value.city, f"{field}.city", 100),
        region=optional_text(value.region, f"{field}.region", 100),
        postal_code=text(value.postal_code, f"{field}.postalCode", 20),
        country=value.country,
    )
