//! How many of an item there are: on hand, reserved for orders, sold.

use thiserror::Error;

/// The most pieces of one item the shop keeps.
pub const MAX_ON_HAND: i64 = 1_000_000_000;

/// The counts of one item. `on_hand` is what can still be reserved; what orders hold is in
/// `reserved`, what left the shop in `sold`. The sum of the three changes only by [`Level::adjust`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// Free to be reserved.
    pub on_hand: i64,
    /// Set aside for orders that are paid or being paid.
    pub reserved: i64,
    /// Left the shop with completed orders.
    pub sold: i64,
}

/// Why counts can't change as asked.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum StockError {
    /// Fewer on hand than asked for.
    #[error("only {on_hand} on hand")]
    OutOfStock {
        /// What there is.
        on_hand: i64,
    },
    /// More is given back or sold than was reserved: a broken book, never a client's fault.
    #[error("only {reserved} reserved")]
    NotReserved {
        /// What there is.
        reserved: i64,
    },
    /// The count would pass [`MAX_ON_HAND`].
    #[error("at most {MAX_ON_HAND} of an item")]
    TooMany,
}

impl Level {
    /// Puts `delta` pieces on the shelf, or takes them off when negative.
    pub fn adjust(self, delta: i64) -> Result<Level, StockError> {
        let on_hand = self.on_hand.checked_add(delta).ok_or(StockError::TooMany)?;
        match on_hand {
            ..=-1 => Err(StockError::OutOfStock {
                on_hand: self.on_hand,
            }),
            0..=MAX_ON_HAND => Ok(Level { on_hand, ..self }),
            _ => Err(StockError::TooMany),
        }
    }

    /// Sets `quantity` aside.
    pub fn reserve(self, quantity: u32) -> Result<Level, StockError> {
        let quantity = i64::from(quantity);
        if quantity > self.on_hand {
            return Err(StockError::OutOfStock {
                on_hand: self.on_hand,
            });
        }
        Ok(Level {
            on_hand: self.on_hand - quantity,
            reserved: self.reserved + quantity,
            ..self
        })
    }

    /// Gives back what [`Level::reserve`] set aside.
    pub fn release(self, quantity: u32) -> Result<Level, StockError> {
        let left = self.take_reserved(quantity)?;
        Ok(Level {
            on_hand: left.on_hand + i64::from(quantity),
            ..left
        })
    }

    /// Turns what was reserved into sold.
    pub fn commit(self, quantity: u32) -> Result<Level, StockError> {
        let left = self.take_reserved(quantity)?;
        Ok(Level {
            sold: left.sold + i64::from(quantity),
            ..left
        })
    }

    fn take_reserved(self, quantity: u32) -> Result<Level, StockError> {
        let reserved = self.reserved - i64::from(quantity);
        if reserved < 0 {
            return Err(StockError::NotReserved {
                reserved: self.reserved,
            });
        }
        Ok(Level { reserved, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Copy, Debug)]
    enum Op {
        Adjust(i64),
        Reserve(u32),
        Release(u32),
        Commit(u32),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            (-50i64..50).prop_map(Op::Adjust),
            (0u32..20).prop_map(Op::Reserve),
            (0u32..20).prop_map(Op::Release),
            (0u32..20).prop_map(Op::Commit),
        ]
    }

    proptest! {
        /// RELIABILITY §2.1: never negative, and nothing appears or vanishes but by adjusting.
        #[test]
        fn pieces_are_conserved(ops in prop::collection::vec(op(), 0..200)) {
            let (mut level, mut added) = (Level::default(), 0i64);
            for op in ops {
                let next = match op {
                    Op::Adjust(delta) => level.adjust(delta).inspect(|_| added += delta),
                    Op::Reserve(n) => level.reserve(n),
                    Op::Release(n) => level.release(n),
                    Op::Commit(n) => level.commit(n),
                };
                level = next.unwrap_or(level);
                prop_assert!(level.on_hand >= 0 && level.reserved >= 0 && level.sold >= 0);
                prop_assert_eq!(level.on_hand + level.reserved + level.sold, added);
            }
        }
    }

    #[test]
    fn the_last_piece_can_be_reserved_once() {
        let level = Level {
            on_hand: 1,
            ..Level::default()
        };
        let level = level.reserve(1).expect("one is there");
        assert_eq!(level.reserve(1), Err(StockError::OutOfStock { on_hand: 0 }));
    }

    #[test]
    fn taking_off_more_than_there_is_is_refused() {
        let level = Level {
            on_hand: 3,
            reserved: 2,
            sold: 0,
        };
        assert_eq!(level.adjust(-4), Err(StockError::OutOfStock { on_hand: 3 }));
        assert_eq!(level.adjust(i64::MAX), Err(StockError::TooMany));
    }
}
