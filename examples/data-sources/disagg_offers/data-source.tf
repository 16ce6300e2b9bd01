data "disagg_offers" "h200" {
  cloud = "aws"
  gpu   = "H200:8"
}

output "cheapest" {
  value = data.disagg_offers.h200.offers[0]
}
