# A disaggregated deployment in one block: a fleet, a service with its router, a prefill and a decode
# group, and the endpoint that answers when all of it does.

terraform {
  required_version = ">= 1.8"
  required_providers {
    disagg = { source = "disagg/disagg" }
  }
}

resource "disagg_fleet" "this" {
  name   = var.name
  cloud  = var.cloud
  region = var.region
  zone   = var.zone
  subnet = var.subnet
  gpus   = distinct(compact([var.prefill.gpu, var.decode.gpu]))

  placement = var.placement
  ssh       = var.ssh
}

resource "disagg_service" "this" {
  name          = var.name
  fleet_id      = disagg_fleet.this.id
  model         = var.model
  version       = var.dynamo_version
  port          = var.port
  ingress_cidrs = var.ingress_cidrs
}

resource "disagg_replica_group" "this" {
  for_each   = { prefill = var.prefill, decode = var.decode }
  name       = each.key
  service_id = disagg_service.this.id
  role       = each.key
  replicas   = each.value.scaling == null ? each.value.replicas : null
  scaling    = each.value.scaling
  resources  = each.value.gpu == null ? null : { gpu = each.value.gpu }
  engine = {
    type            = var.engine
    tensor_parallel = each.value.tensor_parallel
    args            = each.value.args
  }

  market      = each.value.market
  reservation = each.value.reservation
  image       = each.value.image
  egress      = var.egress

  update_strategy = var.update_strategy

  env        = var.env
  secret_env = var.secret_env
  identity   = var.identity
}

resource "disagg_endpoint" "this" {
  service_id = disagg_service.this.id
  group_ids  = [for group in disagg_replica_group.this : group.id]
}
