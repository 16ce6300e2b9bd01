resource "disagg_fleet" "pd" {
  name  = "pd"
  cloud = "local"
}

resource "disagg_service" "tiny" {
  name     = "tiny"
  fleet_id = disagg_fleet.pd.id
  model    = "disagg/tiny"
}

resource "disagg_replica_group" "worker" {
  for_each = toset(["prefill", "decode"])

  name       = each.key
  service_id = disagg_service.tiny.id
  role       = each.key
  replicas   = 1
  engine     = { type = "mocker" }
}

# Done when a real chat completion is answered.
resource "disagg_endpoint" "tiny" {
  service_id = disagg_service.tiny.id
  group_ids  = [for group in disagg_replica_group.worker : group.id]
}

output "url" {
  value = disagg_endpoint.tiny.url
}
