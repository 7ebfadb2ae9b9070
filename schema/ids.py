"""Global IDs: `order:<customerId>:<uuid>`, `customer:<customerId>`, `product:<sku>`."""

import re
import uuid

from read_model.questions import BadQuestion

KEY = re.compile(r"[A-Za-z0-9._@-]{1,64}", re.ASCII)
"""A customer id or a sku."""
ORDER_ID = re.compile(rf"order:({KEY.pattern}):[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}", re.ASCII)
"""An order's ID; its group is the customer id."""
NODE_ID = re.compile(rf"{ORDER_ID.pattern}|(?:customer|product):{KEY.pattern}", re.ASCII)


def node_kind(id: str) -> str:
    """The first part of a global ID: "order", "customer" or "product". Raises BadQuestion for anything else."""
    if not NODE_ID.fullmatch(id):
        raise BadQuestion("BAD_ID", "an ID reads order:<customerId>:<uuid>, customer:<customerId> or product:<sku>")
    return id.partition(":")[0]


def order_id(id: str) -> str:
    """An order's ID as it is. Raises BadQuestion for anything else."""
    if not ORDER_ID.fullmatch(id):
        raise BadQuestion("BAD_ID", "an order's ID reads order:<customerId>:<uuid>")
    return id


def customer_id(value: str) -> str:
    """A customer id; the customer's global ID serves as well. Raises BadQuestion."""
    return _key(value.removeprefix("customer:"), "a customer id")


def sku(value: str) -> str:
    """A sku; the product's global ID serves as well. Raises BadQuestion."""
    return _key(value.removeprefix("product:"), "a sku")


def owner(id: str) -> str | None:
    """The customer whose object has that ID; None for a product, which is nobody's. Raises BadQuestion."""
    return None if node_kind(id) == "product" else id.split(":")[1]


def unused(kind: str) -> str:
    """An ID of that kind that no object has, nor ever will."""
    return f"{kind}:{_NOBODY}:{_NOBODY}" if kind == "order" else f"{kind}:{_NOBODY}"


_NOBODY = str(uuid.uuid4())
"""A customer, a sku and a UUID of this process that nobody is told."""


def _key(value: str, what: str) -> str:
    if not KEY.fullmatch(value):
        raise BadQuestion("BAD_ID", f"{what} has 1 to 64 letters, digits or any of . _ @ -")
    return value
