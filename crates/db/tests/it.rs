//! The engine's behaviour, on both databases.

mod it {
    mod listing;
    mod load;
    mod outbox;
    mod schema;
    mod takeover;
    mod transactions;
    mod values;
}
