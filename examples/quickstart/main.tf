# A complete disaggregated deployment on this machine: a Dynamo router, a prefill worker and a decode
# worker, each a machine of the local cloud at its own loopback address. The mocker engine stands in
# for a GPU engine; everything around it (etcd, NATS, routing, hand-over of the KV cache) is real.

terraform {
  required_providers {
    disagg = { source = "disagg/disagg" }
  }
}

provider "disagg" {}

resource "disagg_fleet" "quickstart" {
  name  = "quickstart"
  cloud = "local"
}

resource "disagg_service" "tiny" {
  name     = "tiny"
  fleet_id = disagg_fleet.quickstart.id
  model    = "disagg/tiny"
  router   = { type = "dynamo" }
}

resource "disagg_replica_group" "prefill" {
  name       = "prefill"
  service_id = disagg_service.tiny.id
  role       = "prefill"
  replicas   = 1
  engine     = { type = "mocker" }
}

resource "disagg_replica_group" "decode" {
  name       = "decode"
  service_id = disagg_service.tiny.id
  role       = "decode"
  replicas   = 1
  engine     = { type = "mocker" }
}

resource "disagg_endpoint" "tiny" {
  service_id = disagg_service.tiny.id
  group_ids  = [disagg_replica_group.prefill.id, disagg_replica_group.decode.id]
}

output "url" {
  description = "Base URL for clients of the OpenAI API."
  value       = disagg_endpoint.tiny.url
}

output "model" {
  description = "The model's name for clients."
  value       = disagg_endpoint.tiny.model
}
