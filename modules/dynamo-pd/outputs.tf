output "url" {
  description = "Base URL for clients of the OpenAI API."
  value       = disagg_endpoint.this.url
}

output "model" {
  description = "The model's name for clients."
  value       = disagg_endpoint.this.model
}

output "service_id" {
  description = "Id of the service, for more replica groups."
  value       = disagg_service.this.id
}

output "instance_counts" {
  description = "How many workers there are, by role."
  value       = { for role, group in disagg_replica_group.this : role => group.instance_count }
}

output "instance_types" {
  description = "What the workers run on, by role."
  value       = { for role, group in disagg_replica_group.this : role => group.instance_type }
}

output "minimum_hourly_cost" {
  description = "Estimated price of everything with every group at its smallest count. Known in the first plan."
  value       = disagg_service.this.minimum_hourly_cost + sum([for group in disagg_replica_group.this : group.minimum_hourly_cost])
}

output "maximum_hourly_cost" {
  description = "Estimated price of everything with every group at its greatest count. Known in the first plan."
  value       = disagg_service.this.maximum_hourly_cost + sum([for group in disagg_replica_group.this : group.maximum_hourly_cost])
}

output "hourly_cost" {
  description = "Estimated price of everything in US dollars an hour, at the present counts."
  value       = disagg_service.this.hourly_cost + sum([for group in disagg_replica_group.this : group.hourly_cost])
}
