"""Ids in paths."""

from starlette.convertors import StringConvertor, register_url_convertor


class AnyText(StringConvertor):
    """Any text at all: a shop's ids may hold slashes, and one with a line break deserves an answer that says so."""

    regex = "(?s:.*)"


register_url_convertor("anytext", AnyText())

USER_PATH = "/v1/users/{user_id:anytext}"
ITEM_PATH = "/v1/items/{item_id:anytext}"
