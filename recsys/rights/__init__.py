"""The rights of a customer beside erasure: access, objection, restriction, rectification; and the register of all."""
