//! `simulated_aws`: a simulated AWS whose machines boot, for Terraform by hand, until Enter is pressed.

use acceptance::{Aws, Site};
use cloudsim::ec2::{Account, Region};
use hosts::datacentre::Datacentre;
use hosts::ec2::Hosts;
use hosts::image::Image;
use std::sync::Arc;

fn main() {
    let datacentre = Arc::new(Datacentre::new());
    let account = Account { key_pairs: vec!["ops".to_owned()], ..Account::default() };
    let mut model = Region::new(account.into());
    model.set_guest(Hosts::new(Arc::clone(&datacentre), Image::Trixie));
    let aws = Aws::serve(model, Some(datacentre.operator()));
    let variables: Vec<String> =
        aws.environment().iter().map(|(name, value)| format!("{name}={value}")).collect();
    eprintln!("A shell outside of it, in which Terraform finds it:");
    let operator = datacentre.operator();
    eprintln!("  nsenter --net={} -- env {} bash", operator.display(), variables.join(" "));
    eprintln!("Enter ends it, and all that is in it.");
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line);
    read.expect("the terminal can be read");
}
