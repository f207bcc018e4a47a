//! Items, what is on hand, reserved and sold; the reserving side of the saga.
