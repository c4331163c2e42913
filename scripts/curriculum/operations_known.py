"""Operations that hang on what slots are called (an area needs a width and a height); the format is explained in
`scripts.curriculum`, with the names a slot may have after its class."""

OPERATIONS = r"""
read X:num=width/length Y:num=height/breadth
area surface surface_area area_of_rectangle size_of_area
the area of X by Y
    return self.X * self.Y

read X:num=width/length Y:num=height/breadth
perimeter outline length_of_outline perimeter_of_rectangle
the perimeter of X by Y
    return 2 * (self.X + self.Y)

read X:num=width/length Y:num=height/breadth Z:num=depth
volume volume_of_box cubic_content
the volume of X by Y by Z
    return self.X * self.Y * self.Z

read X:num=width/length Y:num=height/breadth
diagonal length_of_diagonal
the diagonal of X by Y
    return math.sqrt(self.X ** 2 + self.Y ** 2)

ask X:num=width/length Y:num=height/breadth
is_{square,a_square}
X and Y are the same
    return self.X == self.Y

read X:num=side
area surface area_of_square
the area of a square of X
    return self.X * self.X

read X:num=side
perimeter outline
the perimeter of a square of X
    return 4 * self.X

read X:num=radius
area surface area_of_circle
the area of a circle of X
    return math.pi * self.X ** 2

read X:num=radius
circumference perimeter outline
the circumference of a circle of X
    return 2 * math.pi * self.X

read X:num=radius
diameter
the diameter of a circle of X
    return 2 * self.X

read X:text=first_name Y:text=last_name
full_name whole_name complete_name
X and Y with a blank between
    return f'{self.X} {self.Y}'

read X:text=name/first_name/owner/nickname
greeting greet hello say_hello welcome
a greeting to X
    return f'Hello, {self.X}!'

read X:num=price/unit_price/cost Y:num=quantity/amount
total total_price total_cost value worth total_value
X times Y
    return self.X * self.Y

read X:num=revenue/income/sales Y:num=cost/costs/expenses/spending
profit net net_income surplus result gain
X less Y
    return self.X - self.Y

read X:num=distance/miles Y:num=time/hours/duration ! Y is zero
speed pace velocity average_speed
X divided by Y
    if self.Y == 0:
        raise ValueError('Y is zero')
    return self.X / self.Y

read X:num=mass/weight Y:num=volume ! Y is zero
density
X divided by Y
    if self.Y == 0:
        raise ValueError('Y is zero')
    return self.X / self.Y

read X:num=celsius/temperature
{in,to,as}_fahrenheit fahrenheit temperature_in_fahrenheit
X in degrees Fahrenheit
    return self.X * 9 / 5 + 32

read X:num=fahrenheit
{in,to,as}_celsius celsius temperature_in_celsius
X in degrees Celsius
    return (self.X - 32) * 5 / 9

ask X:num=age
is_{adult,an_adult,grown_up,of_age} can_vote
X is at least eighteen
    return self.X >= 18

ask X:num=age
is_{minor,a_minor,a_child,child,under_age}
X is less than eighteen
    return self.X < 18

change X:int=age
{birthday,grow_older,have_birthday,celebrate_birthday,get_older}
adds one to X -> the new value
    self.X += 1
    return self.X

read X:int=birth_year/year_of_birth year:int
age_in age age_at age_in_year
the years from X to year
    return year - self.X

ask X:list=guests/members/items/players/passengers Y:int=capacity/seats/places
is_full full is_there_no_room is_at_capacity
X has at least as many elements as Y says
    return len(self.X) >= self.Y

read X:list=guests/members/items/players/passengers Y:int=capacity/seats/places
{free,open,remaining,empty}_{places,seats} {places,seats,room,space}_left remaining_capacity
how many more than in X there may be by Y
    return self.Y - len(self.X)

read X:date=start_date/start/begin Y:date=end_date/end/finish
duration days length_in_days number_of_days duration_in_days
how many days from X to Y
    return (datetime.date.fromisoformat(self.Y) - datetime.date.fromisoformat(self.X)).days

ask X:num=balance/account_balance
is_{overdrawn,in_debt,in_the_red} overdrawn
X is less than zero
    return self.X < 0
"""
