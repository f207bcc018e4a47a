//! An item as clients see it: everybody sees what they can buy, and staff see everything.

use crate::store::Item;
use serde::Serialize;
use wasmart_domain::money::CURRENCY;
use wasmart_service::clock::rfc3339;

#[derive(Serialize)]
pub struct ItemView {
    pub id: String,
    name: String,
    description: Option<String>,
    /// Minor units.
    price: i64,
    currency: &'static str,
    on_hand: i64,
    /// The quantity that orders hold; for staff only, because it tells how business goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    reserved: Option<i64>,
    /// What can still be ordered.
    available: i64,
    archived: bool,
    created_at: String,
    updated_at: String,
}

impl ItemView {
    /// As everybody may see it.
    pub fn public(item: Item) -> ItemView {
        ItemView {
            reserved: None,
            ..ItemView::staff(item)
        }
    }

    /// As staff see it.
    pub fn staff(item: Item) -> ItemView {
        ItemView {
            id: item.id,
            name: item.details.name,
            description: item.details.description,
            price: item.details.price,
            currency: CURRENCY,
            on_hand: item.level.on_hand,
            reserved: Some(item.level.reserved),
            available: item.level.on_hand,
            archived: item.details.archived,
            created_at: rfc3339(item.created_at),
            updated_at: rfc3339(item.updated_at),
        }
    }
}
