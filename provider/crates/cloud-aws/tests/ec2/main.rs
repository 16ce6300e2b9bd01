//! cloud-aws against a datacentre that speaks EC2.
//!
//! Credentials are looked for where the SDK looks: in the environment, which only a process with one
//! thread may change. So this is one test, and each of its parts has a name.

mod conformance;
mod faults;
mod harness;

#[test]
#[expect(unsafe_code, clippy::disallowed_methods, reason = "nothing else runs in this process yet")]
fn everything() {
    for variable in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        // SAFETY: this is the only test of its process, and the runtime has not been built.
        unsafe { std::env::set_var(variable, "simulated") };
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        conformance::the_contract().await;
        faults::a_lost_answer_launches_once().await;
        faults::capacity_in_another_type_is_taken().await;
        faults::what_is_refused_is_said_in_ec2_s_words().await;
        faults::throttling_passes().await;
        faults::a_stranger_in_the_security_group_is_named().await;
        faults::a_thousand_and_one_machines_are_two_calls().await;
        faults::cards_get_their_interfaces().await;
        faults::a_public_router_keeps_its_addresses().await;
    });
}
