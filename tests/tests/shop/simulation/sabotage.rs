//! The simulation's own test: a shop with a part of its mechanism switched off must not get through.

use super::seeds::simulate;
use crate::harness::sabotage::manifest;

/// So many seeds without a fault found would be a simulation that finds nothing.
const SEEDS: std::ops::Range<u64> = 0..12;

/// The first seed whose run fails in a shop with that part switched off.
fn found_by(part: Option<&str>) -> Option<u64> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let manifest = manifest(folder.path(), part);
    let mut seeds = SEEDS;
    seeds.find(|seed| simulate(*seed, Some(manifest.clone())).is_err())
}

#[test]
fn a_shop_without_its_barrier_does_not_get_through() {
    assert!(found_by(Some("barrier")).is_some());
}

#[test]
fn a_shop_without_its_outbox_does_not_get_through() {
    assert!(found_by(Some("outbox")).is_some());
}

#[test]
fn a_shop_that_undoes_in_the_wrong_order_does_not_get_through() {
    assert!(found_by(Some("undo-order")).is_some());
}

#[test]
fn the_same_build_with_nothing_switched_off_does() {
    assert_eq!(found_by(None), None);
}
