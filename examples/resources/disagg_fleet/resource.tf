resource "disagg_fleet" "pd" {
  name  = "pd"
  cloud = "local"
}
