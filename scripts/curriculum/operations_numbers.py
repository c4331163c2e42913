"""Operations on numbers, one or several; the format is explained in `scripts.curriculum`."""

OPERATIONS = r"""
change X:num amount:num
{increase,raise,boost,grow,lift,augment,enlarge,up}_X {increase,raise,boost,grow}_X_by {add,deposit,credit,pay}_{to,into,in}_X {add,deposit,credit,top_up,earn,gain,bump}_X
adds amount to X -> the new value
    self.X += amount
    return self.X

change X:num amount:num
{withdraw,take,spend,deduct,use,consume,pay_out,draw,remove,debit,charge}_X {withdraw,take,spend,deduct,pay,draw,remove,consume,debit,charge}_from_X take_out_of_X use_up_X
takes amount off X ! amount is more than X -> the new value
    if amount > self.X:
        raise ValueError('not enough X')
    self.X -= amount
    return self.X

change X:num amount:num
{decrease,lower,reduce,subtract,drop,cut,shrink,diminish}_X {decrease,lower,reduce,drop,cut}_X_by subtract_from_X {minus,take_away}_from_X
lowers X by amount -> the new value
    self.X -= amount
    return self.X

change X:num
{increment,increase,bump,raise,advance,step_up,count_up,tick}_X {one_more,add_one_to,add_one}_X {inc,increment}_X_by_one
adds one to X -> the new value
    self.X += 1
    return self.X

change X:num
{decrement,decrease,lower,step_down,count_down,reduce}_X {one_less,subtract_one_from}_X {dec,decrement}_X_by_one
takes one off X -> the new value
    self.X -= 1
    return self.X

change X:num factor:num
{multiply,scale,times}_X {multiply,scale}_X_by {multiply,scale}_X_with
multiplies X by factor -> the new value
    self.X *= factor
    return self.X

change X:num divisor:num
{divide,split}_X {divide,split}_X_by {divide,split}_X_into
divides X by divisor ! divisor is zero -> the new value
    if divisor == 0:
        raise ValueError('X cannot be divided by zero')
    self.X = self.X // divisor if self.X % divisor == 0 else self.X / divisor
    return self.X

change X:num
{double,duplicate,twofold}_X multiply_X_by_two make_X_twice
doubles X -> the new value
    self.X *= 2
    return self.X

change X:num
{triple,treble}_X multiply_X_by_three
triples X -> the new value
    self.X *= 3
    return self.X

change X:num
{quadruple}_X multiply_X_by_four
makes X four times as much -> the new value
    self.X *= 4
    return self.X

change X:num
{halve,bisect}_X {divide,split}_X_by_two cut_X_in_half
halves X -> the new value
    self.X = self.X // 2 if self.X % 2 == 0 else self.X / 2
    return self.X

change X:num
{square}_X multiply_X_by_itself
squares X -> the new value
    self.X *= self.X
    return self.X

change X:num
{negate,invert,flip}_X {flip,change}_sign_of_X
turns the sign of X -> the new value
    self.X = -self.X
    return self.X

change X:num
{round,round_off}_X
rounds X to a whole number -> the new value
    self.X = round(self.X)
    return self.X

change X:num places:small
{round,round_off}_X round_X_to
rounds X to places -> the new value
    self.X = round(self.X, places)
    return self.X

change X:num
{reset,zero,clear,empty,wipe,nullify,cancel}_X {reset,set}_X_to_zero make_X_zero
puts X back to zero -> the new value
    self.X = 0
    return self.X

change X:num value:num
{set,assign,change,update,replace,adjust,put,make,overwrite,store,fix}_X {set,change,update,adjust,reset}_X_to new_value_for_X
puts value into X -> the new value
    self.X = value
    return self.X

change X:num limit:num
{cap,limit}_X_{at,to} {cap,limit}_X keep_X_below hold_X_at_most
lowers X to limit if it is more -> the new value
    self.X = min(self.X, limit)
    return self.X

change X:num limit:num
{floor,bottom}_X_at raise_X_to_at_least keep_X_above hold_X_at_least
raises X to limit if it is less -> the new value
    self.X = max(self.X, limit)
    return self.X

change X:num low:num high:num
{clamp,bound,confine,restrict}_X {clamp,keep,hold}_X_between limit_X_to_range
keeps X from low to high -> the new value
    self.X = max(low, min(self.X, high))
    return self.X

change X:num percent:num
{increase,raise,boost,grow}_X_by_percent add_percent_to_X {add_interest_to,add_tax_to,mark_up,inflate}_X
raises X by percent of itself -> the new value
    self.X = self.X * (100 + percent) / 100
    return self.X

change X:num percent:num
{reduce,lower,decrease,cut,drop}_X_by_percent {discount,mark_down,deflate,depreciate}_X take_percent_off_X
lowers X by percent of itself -> the new value
    self.X = self.X * (100 - percent) / 100
    return self.X

change X:num power:small
raise_X_to_{power,the_power} power_up_X exponentiate_X
raises X to power -> the new value
    self.X **= power
    return self.X

read X:num
{doubled,double_of,twice,twice_the}_X X_{doubled,twice,times_two}
the double of X
    return self.X * 2

read X:num
{tripled,triple_of,three_times}_X X_{tripled,times_three}
three times X
    return self.X * 3

read X:num
{halved,half,half_of,half_the}_X X_{halved,half}
the half of X
    return self.X // 2 if self.X % 2 == 0 else self.X / 2

read X:num
{squared,square_of}_X X_{squared,square}
the square of X
    return self.X * self.X

read X:num
{cubed,cube_of}_X X_{cubed,cube}
the cube of X
    return self.X ** 3

read X:num
{negated,negative,negative_of,opposite_of,inverse}_X X_{negated,inverted}
X with the other sign
    return -self.X

read X:num
{absolute,absolute_value_of,magnitude_of,size_of,unsigned}_X X_{magnitude,absolute}
X without its sign
    return abs(self.X)

read X:num
{rounded,nearest,whole}_X X_{rounded,round} rounded_value_of_X
X rounded to a whole number
    return round(self.X)

read X:num places:small
{rounded}_X X_{rounded,rounded_to} rounded_X_to
X rounded to places
    return round(self.X, places)

read X:num ! X is negative
{root_of,square_root_of,sqrt_of}_X X_{root,square_root,sqrt}
the square root of X
    if self.X < 0:
        raise ValueError('X is negative')
    return math.sqrt(self.X)

read X:num
{floored,floor_of,rounded_down}_X X_{floor,rounded_down}
X rounded down
    return math.floor(self.X)

read X:num
{ceiling_of,rounded_up}_X X_{ceiling,rounded_up}
X rounded up
    return math.ceil(self.X)

read X:num percent:num
{discounted,reduced,marked_down}_X X_{discounted,discounted_by,after_discount,less_percent,minus_percent} {discounted,reduced}_X_by
X less percent of itself
    return self.X * (100 - percent) / 100

read X:num percent:num
X_{with_tax,with_interest,plus_percent,including_tax,after_tax,after_interest,marked_up,inflated} {taxed,inflated,marked_up,grown}_X
X and percent of itself
    return self.X * (100 + percent) / 100

read X:num percent:num
{percent_of,percentage_of,share_of,part_of,tax_on,interest_on,tip_on,commission_on,fraction_of}_X X_{percentage,percent,tax,interest,tip}
percent of X
    return self.X * percent / 100

read X:num amount:num
X_{plus,and,with,increased_by,after_adding} {increased,raised}_X sum_of_X_and
X plus amount
    return self.X + amount

read X:num amount:num
X_{minus,less,without,decreased_by,after_taking,reduced_by,left_after} {decreased,lowered}_X {remaining}_X_after
X less amount
    return self.X - amount

read X:num factor:num
X_{times,multiplied_by,by,multiplied,scaled,scaled_by} {multiplied,scaled}_X product_of_X_and
X times factor
    return self.X * factor

read X:num divisor:num ! divisor is zero
X_{divided_by,divided,per,split_by,shared_by,for_each_of} {divided,ratio_of}_X ratio_of_X_to
X divided by divisor
    if divisor == 0:
        raise ValueError('X cannot be divided by zero')
    return self.X / divisor

read X:num divisor:posint ! divisor is zero
X_{modulo,mod,remainder,left_over} {remainder_of}_X {remainder_of}_X_by
what is left of X after division by divisor
    if divisor == 0:
        raise ValueError('X cannot be divided by zero')
    return self.X % divisor

read X:num power:small
X_{to_the_power,to_the_power_of,to_power,power} power_of_X
X to the power
    return self.X ** power

read X:num limit:num
X_{capped_at,capped,limited_to,at_most,up_to} {capped,limited}_X {smaller_of,minimum_of,lower_of}_X_and
X but not more than limit
    return min(self.X, limit)

read X:num limit:num
X_{floored_at,but_at_least} {larger_of,maximum_of,higher_of,greater_of}_X_and
X but not less than limit
    return max(self.X, limit)

read X:num low:num high:num
X_{clamped,bounded,clamped_between} {clamped,bounded}_X
X kept from low to high
    return max(low, min(self.X, high))

read X:num
{next,following}_X X_{plus_one,successor} successor_of_X
X plus one
    return self.X + 1

read X:num
{previous,preceding}_X X_{minus_one,predecessor} predecessor_of_X
X less one
    return self.X - 1

read X:num other:num
{difference_to,distance_to,distance_from}_X X_{distance_to,difference_to,distance_from,off_by,gap_to}
how far X is from other
    return abs(self.X - other)

read X:num limit:num
{missing,missing_to,needed}_X X_{missing_to,short_of,until,needed_for,to_go}
how much X is short of limit
    return max(0, limit - self.X)

read X:int
{digits_in,digits_of,digit_count_of,number_of_digits_in,count_digits_of}_X X_{digits,digit_count}
how many digits X has
    return len(str(abs(self.X)))

read X:int
{digit_sum_of,sum_of_digits_of,sum_of_digits_in}_X X_{digit_sum,checksum}
the sum of the digits of X
    return sum((int(letter) for letter in str(abs(self.X))))

read X:int ! X is negative
{factorial_of}_X X_factorial
the factorial of X
    if self.X < 0:
        raise ValueError('X is negative')
    return math.factorial(self.X)

read X:int
{binary,binary_of}_X X_{in_binary,as_binary,binary} 
X in binary digits
    return format(self.X, 'b')

read X:int
{divisors_of,factors_of}_X X_{divisors,factors}
the numbers that divide X
    return [i for i in range(1, self.X + 1) if self.X % i == 0]

read X:num
{text_of}_X X_{as_text,as_string,text,to_text} {printed,spelled}_X
X as text
    return str(self.X)

read X:num
{sign_of}_X X_sign
the sign of X as one, zero or minus one
    return (self.X > 0) - (self.X < 0)

ask X:num limit:num
{is_}X_{above,over,greater_than,more_than,larger_than,higher_than,bigger_than} {has_more_X_than} X_{exceeds} does_X_exceed exceeds_X_of
X is more than limit
    return self.X > limit

ask X:num limit:num
X_{above,over,beyond}
X is more than limit
    return self.X > limit

ask X:num limit:num
is_X_{below,under,less_than,smaller_than,lower_than} X_{below,under} has_less_X_than
X is less than limit
    return self.X < limit

ask X:num limit:num
is_X_{at_least,not_below,not_less_than} has_{X,X_of,at_least_X,enough_X} {enough,is_enough,sufficient}_X can_{withdraw,take,spend,pay,use,deduct}_{X,from_X} X_{reaches,covers,suffices_for,is_enough_for} does_X_{cover,reach}
X is at least limit
    return self.X >= limit

ask X:num limit:num
is_X_{at_most,not_above,not_more_than,within,within_limit}
X is at most limit
    return self.X <= limit

ask X:num value:num
is_X X_{equals,is,is_equal_to,same_as} is_X_{equal_to,exactly,the_same_as,equal} does_X_equal
X is value
    return self.X == value

ask X:num value:num
is_X_{not,different_from,other_than,unlike} X_{differs_from,is_not} does_X_differ_from
X is not value
    return self.X != value

ask X:num low:num high:num
is_X_{between,in_range,within,inside,from_to} X_{between,in_range,within,is_between} does_X_lie_between
X is from low to high
    return low <= self.X <= high

ask X:num
is_X_{positive,above_zero,more_than_zero,in_the_black,in_credit} {has,has_any,any,is_there}_X {positive}_X X_{is_positive,left,available,positive} is_any_X_left
X is more than zero
    return self.X > 0

ask X:num
is_X_{negative,below_zero,less_than_zero,in_the_red,overdrawn} X_{is_negative,overdrawn}
X is less than zero
    return self.X < 0

ask X:num
is_X_{zero,empty,gone,used_up,null,nil,exhausted,depleted,spent} X_{is_zero,exhausted,depleted,used_up} out_of_X no_X_left is_out_of_X
X is zero
    return self.X == 0

ask X:int
is_X_even even_X X_is_even
X is even
    return self.X % 2 == 0

ask X:int
is_X_odd odd_X X_is_odd
X is odd
    return self.X % 2 == 1

ask X:int
is_X_{prime,a_prime} X_is_prime
X is a prime number
    return self.X > 1 and all((self.X % i for i in range(2, self.X)))

ask X:num divisor:posint
is_X_{divisible_by,a_multiple_of,multiple_of,divisible} X_{divisible_by,is_divisible_by} {divides}_X
X is divisible by divisor
    return divisor != 0 and self.X % divisor == 0

ask X:num
is_X_{whole,an_integer,integer,round}
X is a whole number
    return self.X == round(self.X)

read X:num Y:num
{total_of,sum_of,total,sum,combined}_X_and_Y X_plus_Y X_and_Y_{total,sum,together,combined} total_X_and_Y sum_X_and_Y X_with_Y_added
X plus Y
    return self.X + self.Y

read X:num Y:num Z:num
{total_of,sum_of,total,sum}_X_{and_,}Y_and_Z X_plus_Y_plus_Z total_of_X_Y_Z sum_of_X_Y_Z
X plus Y plus Z
    return self.X + self.Y + self.Z

read X:num Y:num
X_{minus,less,without,after}_Y {difference_of}_X_and_Y X_net_of_Y remaining_X_after_Y X_left_after_Y
X less Y
    return self.X - self.Y

read X:num Y:num
{gap_between,distance_between,distance_of,gap_of}_X_and_Y X_to_Y_{gap,distance} gap_from_X_to_Y
how far X is from Y
    return abs(self.X - self.Y)

read X:num Y:num
X_{times,by,multiplied_by}_Y product_of_X_and_Y X_and_Y_{product,multiplied} X_Y_product
X times Y
    return self.X * self.Y

read X:num Y:num ! Y is zero
X_{per,divided_by,over,for_each,for_every}_Y {ratio_of,quotient_of}_X_{to,and}_Y X_to_Y_ratio {ratio}_X_to_Y {ratio,rate}_of_X_per_Y
X divided by Y
    if self.Y == 0:
        raise ValueError('Y is zero')
    return self.X / self.Y

read X:num Y:num ! Y is zero
X_{as_percent_of,as_percentage_of,in_percent_of,percent_of}_Y {share_of,percentage_of}_X_in_Y percent_of_X_in_Y
X as a percentage of Y
    if self.Y == 0:
        raise ValueError('Y is zero')
    return self.X * 100 / self.Y

read X:num Y:num
{average_of,mean_of,average,mean}_X_and_Y X_and_Y_{average,mean} {middle,midpoint}_of_X_and_Y
the mean of X and Y
    return (self.X + self.Y) / 2

read X:num Y:num
{larger_of,maximum_of,greater_of,higher_of,max_of,bigger_of,largest_of}_X_and_Y {larger,max,higher,bigger}_X_or_Y
the larger of X and Y
    return max(self.X, self.Y)

read X:num Y:num
{smaller_of,minimum_of,lesser_of,lower_of,min_of,smallest_of}_X_and_Y {smaller,min,lower}_X_or_Y
the smaller of X and Y
    return min(self.X, self.Y)

read X:num Y:num Z:num
{larger_of,maximum_of,max_of,largest_of}_X_{and_,}Y_and_Z
the largest of X, Y and Z
    return max(self.X, self.Y, self.Z)

read X:num Y:num Z:num
{average_of,mean_of,average}_X_{and_,}Y_and_Z
the mean of X, Y and Z
    return (self.X + self.Y + self.Z) / 3

read X:num Y:num Z:num
{product_of}_X_{and_,}Y_and_Z X_times_Y_times_Z
X times Y times Z
    return self.X * self.Y * self.Z

read X:num Y:num Z:num
X_{plus_Y_minus,and_Y_less,plus_Y_less,and_Y_minus}_Z
X plus Y less Z
    return self.X + self.Y - self.Z

read X:num Y:num Z:num
X_{times_Y_plus,by_Y_plus,times_Y_and}_Z
X times Y plus Z
    return self.X * self.Y + self.Z

read X:num Y:num Z:num
X_{minus_Y_minus,less_Y_less,minus_Y_and,less_Y_and}_Z X_without_Y_and_Z
X less Y and Z
    return self.X - self.Y - self.Z

read X:num Y:num percent:num
{discounted,reduced}_X_{times,by}_Y
X times Y, less percent of it
    return self.X * self.Y * (100 - percent) / 100

read X:num Y:num
X_{with,plus,including,and}_Y_percent X_{increased,raised,grown,taxed}_by_Y_percent X_after_Y_percent_{tax,interest}
X and Y percent of it
    return self.X * (100 + self.Y) / 100

read X:num Y:num
X_{less,minus,without}_Y_percent X_{discounted,reduced,lowered}_by_Y{_percent,} discounted_X_by_Y
X less Y percent of it
    return self.X * (100 - self.Y) / 100

read X:num Y:num
Y_percent_of_X {percent,percentage}_Y_of_X
Y percent of X
    return self.X * self.Y / 100

change X:num Y:num amount:num
{move,transfer,shift,pass,send,carry,hand_over,pour}_X_to_Y {move,transfer,shift,take,pay}_from_X_to_Y {move,shift,transfer,pour}_X_{into,over_to,onto}_Y
takes amount off X and adds it to Y ! amount is more than X -> the new value of Y
    if amount > self.X:
        raise ValueError('not enough X')
    self.X -= amount
    self.Y += amount
    return self.Y

change X:num Y:num
{move,transfer,shift,pass,pour,empty}_X_{to,into,over_to}_Y {move,transfer,shift}_all_{X,from_X}_to_Y {move,transfer,shift}_from_X_to_Y
adds all of X to Y and puts X to zero -> the new value of Y
    self.Y += self.X
    self.X = 0
    return self.Y

change X:num Y:num
{add,credit,pay}_X_{to,into,onto}_Y {increase,raise,grow,boost}_Y_by_X
adds X to Y -> the new value of Y
    self.Y += self.X
    return self.Y

change X:num Y:num
{subtract,take,deduct,take_away}_X_from_Y {decrease,lower,reduce}_Y_by_X
takes X off Y -> the new value of Y
    self.Y -= self.X
    return self.Y

change X:num Y:num
{multiply,scale}_X_{by,with}_Y
multiplies X by Y -> the new value of X
    self.X *= self.Y
    return self.X

change X:scalar Y:same
{copy,save,store,write}_X_{to,into,in,as}_Y {set,make,reset,restore}_Y_{to,from}_X
puts the value of X into Y -> the new value of Y
    self.Y = self.X
    return self.Y

change X:scalar Y:same
{swap,exchange,switch,interchange}_X_{and,with,for}_Y
puts X into Y and Y into X -> the new value of X
    self.X, self.Y = (self.Y, self.X)
    return self.X

change X:num Y:num
{cap,limit}_X_{at,to,by}_Y keep_X_below_Y
lowers X to Y if it is more -> the new value of X
    self.X = min(self.X, self.Y)
    return self.X

ask X:num Y:num
is_X_{above,over,greater_than,more_than,larger_than,higher_than,bigger_than,ahead_of}_Y X_{above,exceeds}_Y has_more_X_than_Y does_X_exceed_Y more_X_than_Y
X is more than Y
    return self.X > self.Y

ask X:num Y:num
is_X_{below,under,less_than,smaller_than,lower_than,behind}_Y X_{below,under}_Y has_less_X_than_Y less_X_than_Y
X is less than Y
    return self.X < self.Y

ask X:num Y:num
is_X_{at_least,not_below}_Y does_X_{cover,reach}_Y X_{covers,reaches}_Y is_X_enough_for_Y
X is at least Y
    return self.X >= self.Y

ask X:num Y:num
is_X_{at_most,not_above,within}_Y
X is at most Y
    return self.X <= self.Y

ask X:any Y:same
is_X_{equal_to,the_same_as,same_as,equal,like}_Y X_{equals,is,same_as,matches}_Y {are_X_and_Y_equal,are_X_and_Y_the_same} does_X_{equal,match}_Y
X and Y are the same
    return self.X == self.Y

ask X:any Y:same
is_X_{different_from,unlike,not,other_than}_Y X_{differs_from,is_not}_Y are_X_and_Y_different does_X_differ_from_Y
X and Y are not the same
    return self.X != self.Y

ask X:num Y:num Z:num
is_X_between_Y_and_Z X_between_Y_and_Z is_X_{within,inside}_Y_and_Z
X is from Y to Z
    return self.Y <= self.X <= self.Z

ask X:num Y:num amount:num
{is,are}_X_and_Y_{above,over,more_than} {is_total_of,is_sum_of}_X_and_Y_{above,over,more_than}
X and Y together are more than amount
    return self.X + self.Y > amount
"""
