-- A boleto's row alone: inserted and updated, each committed by itself. Ids grow, as ours do.

insert into one_row.boleto (tenant_id, id, bank_account_id, status, version, amount_cents, due_date, nosso_numero, barcode,
    payer, reference_id, notify, created_at_us, updated_at_us)
select 'default', lpad(to_hex(n), 32, '0')::uuid, '00000000-0000-0000-0000-000000000001', 'issued', 1, 12590,
    '2031-05-20', lpad(n::text, 17, '0'), lpad(n::text, 44, '0'),
    '{"name":"Maria Exemplo","tax_id":"52998224725","address":{"street":"Rua das Flores","number":"308","district":"Centro","city":"Recife","state":"PE","postal_code":"50030230"}}',
    'order ' || n, 'owner', n, n
from nextval('one_row.number') as n
returning id \gset

update one_row.boleto set status = 'registered', version = version + 1, updated_at_us = updated_at_us + 1
where tenant_id = 'default' and id = :id;
