resource "disagg_fleet" "pd" {
  name  = "pd"
  cloud = "local"
}

resource "disagg_service" "tiny" {
  name     = "tiny"
  fleet_id = disagg_fleet.pd.id
  model    = "disagg/tiny"
}
