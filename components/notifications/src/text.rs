//! The sentences that users read.

use wasmart_contracts::messages::{DepositNotice, OrderNotice, PasswordForgotten};
use wasmart_service::clock::rfc3339;

/// What happened to an order. `kind` is the event's type.
pub fn order(kind: &str, notice: &OrderNotice) -> String {
    let number = notice.number;
    let total = notice.total.map(|total| money(total, &notice.currency));
    let of_total = total
        .as_deref()
        .map(|total| format!(" of {total}"))
        .unwrap_or_default();
    let because = notice.reason.as_deref().map(reason).unwrap_or_default();
    match kind {
        "order.created" => format!("Your order {number} is in. We are setting its items aside."),
        "order.paid" => format!("Your order {number}{of_total} is paid. Thank you!"),
        "order.completed" => format!("Your order {number} is completed. Enjoy!"),
        "order.canceled" => format!("Your order {number}{of_total} is canceled{because}."),
        "order.rejected" => {
            format!("Sorry, your order {number}{of_total} can't be filled{because}.")
        }
        _ => format!("There is news of your order {number}."),
    }
}

/// Money has arrived in the wallet.
pub fn deposit(notice: &DepositNotice) -> String {
    let amount = money(notice.amount, &notice.currency);
    let balance = money(notice.balance, &notice.currency);
    format!("{amount} is in your wallet. Your balance is now {balance}.")
}

/// To whoever has the account, not only to whoever has just used it.
pub const PASSWORD_CHANGED: &str = "Your password was changed, and you are logged out everywhere else. \
    If that was not you, reset it now.";

/// A mail, before it is kept.
pub struct Mail {
    pub to: String,
    pub title: &'static str,
    pub text: String,
}

/// With the token that sets a new password.
pub fn reset_mail(asked: &PasswordForgotten) -> Mail {
    let until = rfc3339(asked.expires_at);
    Mail {
        to: asked.email.clone(),
        title: "Set a new password",
        text: format!(
            "Somebody asked to set a new password for this address. If it was you, use this token, once \
             and before {until}:\n\n{}\n\nIf it was not, do nothing: your password is as it was.",
            asked.token
        ),
    }
}

/// The codes are those of `wasmart_domain::saga::Reason`. One that is not known here is left out: a
/// code is nothing to read.
fn reason(code: &str) -> &'static str {
    match code {
        "unknown_item" => ": an item is no longer sold",
        "out_of_stock" => ": an item is out of stock",
        "insufficient_funds" => ": there is not enough money in your wallet",
        "no_account" => ": you have no wallet yet",
        "canceled_by_customer" => ", as you asked",
        "canceled_by_staff" => " by the shop",
        "timeout" => ": it took us too long",
        "account_deleted" => ": the account was deleted",
        _ => "",
    }
}

/// Minor units with two decimals, as the shop's currency has them: `12.34 EUR`.
fn money(minor: i64, currency: &str) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let minor = minor.unsigned_abs();
    format!("{sign}{}.{:02} {currency}", minor / 100, minor % 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmart_domain::saga::Reason;

    fn notice(total: Option<i64>, reason: Option<&str>) -> OrderNotice {
        OrderNotice {
            user_id: "u".into(),
            order_id: "o".into(),
            number: 7,
            total,
            currency: "EUR".into(),
            reason: reason.map(str::to_owned),
        }
    }

    #[test]
    fn sentences_name_the_order_its_total_and_the_reason() {
        assert_eq!(
            order("order.paid", &notice(Some(123_405), None)),
            "Your order 7 of 1234.05 EUR is paid. Thank you!"
        );
        assert_eq!(
            order("order.rejected", &notice(None, Some("out_of_stock"))),
            "Sorry, your order 7 can't be filled: an item is out of stock."
        );
        assert_eq!(
            order(
                "order.canceled",
                &notice(Some(5), Some(Reason::CanceledByCustomer.as_str()))
            ),
            "Your order 7 of 0.05 EUR is canceled, as you asked."
        );
        assert_eq!(
            order("order.canceled", &notice(None, Some("x"))),
            "Your order 7 is canceled."
        );
    }

    #[test]
    fn money_has_two_decimals() {
        assert_eq!(money(0, "EUR"), "0.00 EUR");
        assert_eq!(money(-1, "EUR"), "-0.01 EUR");
        assert_eq!(money(i64::MIN, "EUR"), "-92233720368547758.08 EUR");
    }
}
