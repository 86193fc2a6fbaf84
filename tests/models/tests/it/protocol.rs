use models::protocol::{Protocol, Role};
use stateright::{Checker, Model};

/// Explores everything that can happen, and prints how much that was.
fn hold(roles: &[Role], (faults, crashes, window): (u8, u8, u8)) {
    let protocol = Protocol { roles: roles.to_vec(), faults, crashes, window };
    let checker = protocol.checker().threads(2).spawn_dfs().join();
    println!(
        "{roles:?}, {faults} faults, {crashes} crashes, a window of {window}: {} states, {} of them different, {} steps deep",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth()
    );
    for (name, path) in checker.discoveries() {
        println!("{name}: {path}");
    }
    checker.assert_properties();
}

/// CB-03, ST-01, ST-02, ST-05: a browser that comes back twice, two polls, and somebody who says no.
#[test]
fn a_doubled_callback_two_polls_and_a_no() {
    hold(&[Role::Callback(0), Role::Callback(0), Role::Poll, Role::Poll, Role::Deny], (2, 1, 0));
}

/// ST-03, CB-12: two browsers on one code, and two polls.
#[test]
fn two_browsers_and_two_polls() {
    hold(&[Role::Callback(0), Role::Callback(1), Role::Poll, Role::Poll, Role::Deny], (2, 1, 0));
}

/// ST-01, TP-12: three polls where a device may fetch its tokens again for a while.
#[test]
fn three_polls_with_a_window() {
    hold(&[Role::Callback(0), Role::Poll, Role::Poll, Role::Poll], (2, 1, 1));
}

/// RT-12, CB-12, ST-05: a device that gives its code up while it polls, with a person on the way back.
#[test]
fn a_device_that_gives_up() {
    hold(&[Role::Callback(0), Role::Callback(0), Role::Poll, Role::Cancel], (2, 1, 0));
}
