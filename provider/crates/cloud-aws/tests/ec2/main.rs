//! cloud-aws against a datacentre that speaks EC2.
//!
//! Credentials are looked for where the SDK looks: in the environment, which only a process with one
//! thread may change. So this is one test, and each of its parts has a name.

mod conformance;
mod elastic_ips;
mod faults;
mod harness;
mod rules;
mod settings;

#[test]
#[expect(unsafe_code, clippy::disallowed_methods, reason = "nothing else runs in this process yet")]
fn everything() {
    for variable in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        // SAFETY: this is the only test of its process, and the runtime has not been built.
        unsafe { std::env::set_var(variable, "simulated") };
    }
    // There is none after a first checkout.
    let _ = std::fs::remove_file(harness::JOURNAL);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        conformance::the_contract().await;
        faults::a_lost_answer_launches_once().await;
        faults::capacity_in_another_type_is_taken().await;
        faults::time_is_told_by_the_answers().await;
        faults::what_is_refused_is_said_in_ec2_s_words().await;
        faults::throttling_passes().await;
        faults::a_stranger_in_the_security_group_is_named().await;
        faults::a_thousand_and_one_machines_are_two_calls().await;
        faults::cards_get_their_interfaces().await;
        faults::a_public_router_keeps_its_addresses().await;
        faults::why_a_machine_has_ended_is_said_in_ec2_s_words().await;
        elastic_ips::a_lost_answer_or_a_late_list_takes_none_twice().await;
        elastic_ips::two_groups_at_once_take_their_own().await;
        elastic_ips::a_fleet_without_any_is_not_asked_for_them().await;
        elastic_ips::an_address_of_the_user_s_own_stays_the_account_s().await;
        rules::services_that_let_the_same_clients_in_share_a_rule().await;
        rules::what_somebody_opens_is_found_and_closed().await;
        settings::an_instance_profile_that_comes_late_is_waited_for().await;
        settings::an_instance_profile_that_is_not_known_is_told_at_once_and_costs_nothing().await;
        settings::a_fleet_is_in_the_subnet_that_is_asked_for().await;
        settings::a_way_out_is_looked_for_before_a_launch().await;
        settings::images_markets_and_reservations_are_said_to_be_wrong_by_name().await;
        settings::what_somebody_changes_about_a_machine_is_found_and_put_back().await;
        settings::a_router_gets_and_loses_its_public_address().await;
    });
    harness::judge();
}
