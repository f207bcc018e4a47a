//! When a row of the outbox is sent again, and how many at once: rules without a database or a clock.

/// First wait for an answer, doubled at every try …
const FIRST_RETRY_MS: i64 = 1_000;
/// … up to this.
const MAX_RETRY_MS: i64 = 60_000;
/// The wait is lengthened by up to a quarter, see [`jitter`].
const FURTHEST_MS: i64 = MAX_RETRY_MS + MAX_RETRY_MS / 4;
/// How far the clocks of two hosts may be apart. What lies further ahead than this and the longest
/// wait was written before a clock was set back, and is due now: it would wait for a day otherwise.
pub(super) const SKEW_MS: i64 = 60_000;

/// Repeats sent in a second, by all instances and hosts of a service together.
///
/// When a participant or Redis comes back after minutes, everything unanswered falls due within a minute or
/// at once. Sent at once it would be a storm: a participant commits some hundreds of commands a second,
/// so it would be busy for long with work that it may have done already, and what is new would wait behind
/// that. So first sendings are never held back, and of repeats only so many go out as a participant on
/// a slow disk settles beside its new work; the rest stays due. A thousand orders that waited for Redis
/// (a command and a notice each) are sent within four seconds.
const REPEATS_PER_SECOND: i64 = 500;
const SECOND_MS: i64 = 1_000;

/// How long to wait for the answer to the sending of row `id` after `attempts` earlier ones.
pub(super) fn retry_after(attempts: i64, id: &str) -> i64 {
    let doubled = FIRST_RETRY_MS << attempts.clamp(0, 16);
    let wait = doubled.min(MAX_RETRY_MS);
    wait + wait * jitter(attempts, id) / (4 * JITTERS)
}

/// How long to wait after Redis did not take a row. Not longer each time: nobody has got it, and the
/// drain as a whole makes a pause after such a failure.
pub(super) fn retry_unsent(id: &str) -> i64 {
    retry_after(0, id)
}

/// Whether a time at which a row falls due is further ahead than any wait.
pub(super) fn astray_from(now: i64) -> i64 {
    now + FURTHEST_MS + SKEW_MS
}

const JITTERS: i64 = 1 << JITTER_BITS;
const JITTER_BITS: u32 = 10;

/// Spreads rows that were sent together over a quarter of the wait, so that they do not come back
/// together: a number in `0..JITTERS`, another one for each row and at each try.
///
/// From the row's id and not from chance, so that a run that is repeated is the same. Hashed, because
/// ids made in the same moment differ in few of their characters, and those are hexadecimal digits:
/// FNV-1a over the id, and the last mixing of SplitMix64, so that each try deals anew.
fn jitter(attempts: i64, id: &str) -> i64 {
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mut mixed = hash.wrapping_add(attempts.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    i64::try_from(mixed >> (u64::BITS - JITTER_BITS)).unwrap_or_default()
}

/// The repeats of the present second, as the lease keeps them for the next holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Repeats {
    /// When the second began.
    pub since: i64,
    /// Sent in it.
    pub sent: i64,
}

impl Repeats {
    /// How many more may be sent now.
    pub fn left(self, now: i64) -> i64 {
        (REPEATS_PER_SECOND - self.at(now).sent).max(0)
    }

    /// As many more have been sent.
    pub fn add(self, sent: i64, now: i64) -> Repeats {
        let present = self.at(now);
        Repeats {
            sent: present.sent + sent,
            ..present
        }
    }

    /// A second ends when it is over, or when it lies so far ahead that a clock was set back. A host whose
    /// clock is a little behind goes on in the second that another has begun.
    fn at(self, now: i64) -> Repeats {
        if (-SKEW_MS..SECOND_MS).contains(&(now - self.since)) {
            return self;
        }
        Repeats {
            since: now,
            sent: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 86_400_000;

    /// Ids as one transaction makes them: the same millisecond, a counter, few digits that differ.
    fn ids() -> impl Iterator<Item = String> {
        (0..1_000).map(|n| format!("019aa5a0-1c2d-7{n:03x}-8000-0000000000{:02x}", n % 256))
    }

    #[test]
    fn waits_grow_up_to_a_ceiling() {
        for id in ids() {
            let waits: Vec<i64> = (0..20).map(|attempts| retry_after(attempts, &id)).collect();
            for (attempts, wait) in waits.iter().enumerate() {
                let least = (1_000 << attempts).min(60_000);
                assert!(
                    (least..=least + least / 4).contains(wait),
                    "{attempts}: {wait}"
                );
            }
        }
        assert!(retry_after(i64::MAX, "x") <= FURTHEST_MS);
        assert!(retry_after(-1, "x") >= FIRST_RETRY_MS);
    }

    #[test]
    fn rows_sent_together_come_back_apart() {
        for attempts in [0, 3, 9] {
            // The quarter in sixteen parts: each has about its share.
            let mut parts = [0; 16];
            for id in ids() {
                let least = (FIRST_RETRY_MS << attempts).min(MAX_RETRY_MS);
                let part = (retry_after(attempts, &id) - least) * 16 / (least / 4);
                parts[usize::try_from(part).expect("no wait is shorter").min(15)] += 1;
            }
            let fair = 1_000 / 16;
            for part in parts {
                assert!((fair / 2..fair * 2).contains(&part), "{parts:?}");
            }
        }
    }

    #[test]
    fn a_row_meets_other_rows_at_each_try() {
        let close =
            |a: &str, b: &str, attempts| (jitter(attempts, a) - jitter(attempts, b)).abs() < 8;
        let ids: Vec<String> = ids().collect();
        let pairs = ids.iter().zip(&ids[1..]);
        let (first, again) = pairs.fold((0, 0), |(first, again), (a, b)| {
            let met = close(a, b, 4);
            (
                first + i32::from(met),
                again + i32::from(met && close(a, b, 5)),
            )
        });
        assert!(
            first > 5 && again < first / 2,
            "{first} met, {again} of them again"
        );
    }

    #[test]
    fn repeats_are_counted_for_a_second() {
        let none = Repeats { since: 0, sent: 0 };
        let now = 1_000_000;
        let some = none.add(200, now);
        assert_eq!(some.left(now + 999), REPEATS_PER_SECOND - 200);
        let all = some.add(300, now + 500);
        assert_eq!((all.left(now + 999), all.since), (0, now));
        assert_eq!(all.left(now + 1_000), REPEATS_PER_SECOND);
        // More than there were to be had is no debt for the next second.
        assert_eq!(all.add(100, now + 600).left(now + 700), 0);
    }

    #[test]
    fn a_clock_that_is_behind_or_set_back_does_not_stop_repeats() {
        let now = 10 * DAY_MS;
        let all = Repeats { since: 0, sent: 0 }.add(REPEATS_PER_SECOND, now);
        // Two hosts: the one behind counts in the other's second, so they don't double the rate.
        assert_eq!(all.left(now - 2_000), 0);
        assert_eq!(all.left(now - DAY_MS), REPEATS_PER_SECOND);
        assert_eq!(all.left(now + DAY_MS), REPEATS_PER_SECOND);
    }
}
